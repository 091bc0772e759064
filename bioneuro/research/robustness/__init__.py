"""`attack`: every contender attacked with everything, and the attack audited."""
