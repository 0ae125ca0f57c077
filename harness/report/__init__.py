"""Reports: findings become documents (``document.py``), which renderers write (``render/``).

Each subject builds its document in one place: ``runs/``, ``duel.py``, ``gate.py``, ``history.py``,
``study.py``, ``port.py`` and ``check.py``; ``charts/`` draws their figures. This room may import analysis,
gates, duels, runs and everything below them. It renders structs and computes no statistics. It must not know
the command line.
"""
