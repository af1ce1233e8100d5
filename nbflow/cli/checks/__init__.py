"""What `nbflow doctor` looks at: each module checks one thing, changes nothing, and says what to do."""
