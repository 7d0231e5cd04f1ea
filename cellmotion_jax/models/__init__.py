"""Networks as Linen modules, one file each."""
