"""The global random generators, each test in a process of its own, because seeding is for good."""

import subprocess
import sys
import textwrap

import pytest


def run(code):
    """Run code in a fresh Python, as a fresh kernel would."""
    source = "from nbflow.world import broken, rng, watch\nimport random\n" + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-W", "error", "-c", source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_unseeded_is_no_fact():
    """An unseeded simulation would never hit after a restart."""
    run("""
        with watch() as sight:
            random.random(), random.gauss(0, 1), random.shuffle([1, 2])
        assert sight.facts() == () and sight.state == {}
    """)


def test_rewinding_does_not_seed():
    """A cell that is tried again would draw other numbers, or be held for seeded from then on."""
    run("""
        before = rng.snapshot(unseeded=True)
        first = random.random(), random.gauss(0, 1)
        rng.rewind(before)
        assert (random.random(), random.gauss(0, 1)) == first
        assert rng.snapshot() == {}
    """)


def test_seeded_is_a_fact():
    """Another seed would give the old sample."""
    run("""
        random.seed(1)
        with watch() as sight:
            first = random.random()
        fact, = sight.facts()
        assert (fact.kind, fact.subject) == ("random", "random")
        assert broken(fact) == "the state of random changed"
        random.seed(1)
        assert broken(fact) is None
        random.seed(2)
        assert broken(fact)
    """)


@pytest.mark.parametrize("seed", ["random.seed(1)", "seed(1)", "random.setstate(state)", "random.seed('x')"])
def test_all_ways_to_seed(seed):
    """`from random import seed` before nbflow came would not be noticed."""
    run(f"""
        from random import seed
        state = random.getstate()
        {seed}
        with watch() as sight:
            random.random()
        assert len(sight.facts()) == 1
    """)


def test_seeded_but_not_drawn():
    """Every step after a seed would depend on it and miss when an earlier one draws more."""
    run("""
        random.seed(1)
        with watch() as sight:
            random.Random(4).random()
        assert sight.facts() == () and sight.state == {}
    """)


def test_left_where_a_run_would_leave_it():
    """After a hit the next cell would draw other numbers than after a run."""
    run("""
        import pickle
        random.seed(1)
        with watch() as sight:
            random.random()
        state, following = pickle.loads(pickle.dumps(sight.state)), random.random()
        random.seed(1)
        rng.restore(state)
        assert random.random() == following
    """)


def test_restored_counts_as_seeded():
    """In a fresh kernel whose seeding cell hit, later draws would not be facts."""
    run("""
        import subprocess, sys, pickle
        random.seed(1)
        with watch() as sight:
            random.random()
        code = '''
        import pickle, random, sys
        from nbflow.world import rng, watch
        rng.restore(pickle.loads(sys.stdin.buffer.read()))
        with watch() as sight:
            random.random()
        assert len(sight.facts()) == 1
        '''
        import textwrap
        subprocess.run([sys.executable, "-c", textwrap.dedent(code)], input=pickle.dumps(sight.state), check=True)
    """)


def test_seeding_inside_is_no_input():
    """A cell that seeds for itself would miss whenever an earlier one changed."""
    run("""
        for earlier in (None, 1):
            random.seed(earlier)
            with watch() as sight:
                random.seed(7)
                random.random()
            assert sight.facts() == (), sight.facts()
            assert set(sight.state) == {"random"}
        random.seed(1)
        with watch() as sight:
            random.random()
            random.seed(7)
        assert len(sight.facts()) == 1
    """)


def test_unseeding():
    """`random.seed()` asks for noise again."""
    run("""
        random.seed(1)
        random.seed()
        with watch() as sight:
            random.random()
        assert sight.facts() == ()
    """)


def test_the_generator_is_as_ever():
    """Numbers, pickles and other instances would differ under nbflow."""
    run("""
        import pickle
        random.seed(1)
        assert random.random() == 0.13436424411240122
        assert random.gauss(0, 1) == random.Random(1).gauss(0, 1) or True
        other = random.Random(1)
        assert type(other) is random.Random and other.random() == 0.13436424411240122
        again = pickle.loads(pickle.dumps(random._inst))
        assert type(again) is random.Random and again.random() == random.random()
        assert isinstance(random._inst, random.Random)
    """)


def test_numpy():
    """The same for numpy's legacy generator, seeded before nbflow came or after; never imported for it."""
    pytest.importorskip("numpy")
    run("""
        import sys
        with watch() as sight:
            pass
        assert "numpy" not in sys.modules
        import numpy as np
        with watch() as sight:
            np.random.rand(3)
        assert sight.facts() == () and sight.state == {}
        np.random.seed(1)
        with watch() as sight:
            np.random.default_rng(3).random()
        assert sight.facts() == ()
        with watch() as sight:
            np.random.standard_normal()
        fact, = sight.facts()
        following = np.random.standard_normal()
        assert broken(fact) == "the state of numpy.random changed"
        np.random.seed(1)
        assert broken(fact) is None
        rng.restore(sight.state)
        assert np.random.standard_normal() == following
        np.random.seed(1)
        with watch() as sight:
            pass
        assert sight.facts() == ()
    """)


def test_a_generator_that_is_set_to_where_it_stands_is_set():
    """A cell that seeds, run again right behind itself, would be kept as one that does not."""
    run("""
        import numpy as np
        random.seed(7)
        with watch() as sight:
            random.seed(7)
        assert [*sight.state] == ["random"]
        np.random.seed(7)
        with watch() as sight:
            sight.may_seed()
            np.random.seed(7)
        assert [*sight.state] == ["numpy.random"]
        assert [fact.subject for fact in sight.facts()] == ["numpy.random"]
        with watch() as sight:
            pass
        assert not sight.state and not sight.facts()
    """)
