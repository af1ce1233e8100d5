"""The pure core of a step: what it asks for, what it decides, what it is called."""
