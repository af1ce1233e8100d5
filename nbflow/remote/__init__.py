"""Calls in other processes: what is sent, who performs it, and what is made of the answer."""
