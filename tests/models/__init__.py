"""Models that tests make: formats of which no package carries a real one."""
