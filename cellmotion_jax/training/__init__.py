"""Training: settings, one update, the loop around it, checkpoints and logs; read ``experiment`` first.

In reading order: ``experiment`` (what every experiment does), ``config`` (optimisers, phases, cadence),
``loop``, ``step`` (one update), ``state`` (what a run carries along), ``validation``, ``checkpoint``,
``logging``.
"""
