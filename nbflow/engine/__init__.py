"""How one step is performed: the loop, the hands, what holds around an attempt, how it is ended."""
