"""Training of networks: settings, update step, loop, checkpoints and logs; read ``experiment`` first.

In reading order: ``experiment`` (what every experiment does), ``config`` (optimisers, phases, cadence),
``loop``, ``step`` (one update), ``state`` (all variables of a run), ``validation``, ``checkpoint``,
``logging``.
"""
