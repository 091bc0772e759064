"""Campaigns: long hunts for faults, each a command that prints what it found and keeps it in ``campaigns/results/``.

``python -m campaigns.bindings``, likewise ``allocations``, ``cluster``, ``endurance``, ``files``, ``fuzz``, ``kill``,
``kill_commands``, ``memory``, ``mutation``, ``races`` and ``valgrind``; ``--share 0.01`` for a short one, as the tests
run.
``docs/reliability.md`` says what they found.
"""
