"""What the report says of each topic."""

#: Title and text of each topic, in the order of the lectures.
WORDS = {
    "vanishing": (
        "Gradients vanish, or explode",
        """Backpropagation through time multiplies a gradient by one Jacobian for each step. Of a
        linear unit h_t = w h_{t-1} that is w itself, so that ∂h_T/∂h_0 = w^T.""",
    ),
    "bound": (
        "The bound, and where it says something",
        """For h_t = φ(h_{t-1} W + x_t V + b) the norm of ∂h_T/∂h_0 is at most (γ σ_max)^T, with
        γ = max |φ'| and σ_max the largest singular value of W. A linear unit reaches it. Below
        γ σ_max = 1 the gradient must vanish. Above it nothing follows: units that saturate, and
        directions that are not the largest, make it vanish all the same.""",
    ),
    "thresholds": (
        "Two thresholds: 1, and 4 for the sigmoid",
        """A gradient can grow only where γ σ_max > 1. tanh has γ = 1, the sigmoid γ = 1/4, so that
        its weight has to be above 4. A unit that stays where its activation is steepest shows both
        exactly.""",
    ),
    "identity": (
        "The identity as recurrent matrix",
        """With W = I and ReLU the Jacobian of a step is the identity where units are on (IRNN: Le,
        Jaitly and Hinton 2015). With 0.9 I it is 0.9^T again, and a tanh that saturates loses it
        too.""",
    ),
    "carousel": (
        "The constant error carousel",
        """The memory of an LSTM is c_t = f c_{t-1} + i g, whose Jacobian is f. With f = 1 the
        gradient of c stays what it is for as long as one likes (Hochreiter and Schmidhuber 1997);
        with f = σ(1), the usual start, it is σ(1)^T.""",
    ),
    "parity": (
        "Parity",
        """Is the number of ones odd? Two units with weights that are thought up answer it for any
        length: one is on if x + p > 1/2, the other if x + p > 3/2, and the new parity p is the
        first without the second. A network that has learned it on 12 bits answers for 1,000.""",
    ),
    "clipping": (
        "Clipping at a cliff",
        """The loss of one unit h_t = σ(w h_{t-1} + b) after 50 steps has a wall (Pascanu, Mikolov
        and Bengio 2013). The gradient there is so large that one step of descent throws (w, b) far
        away; scaled down to a norm of 1/2 it goes on downhill.""",
    ),
    "truncation": (
        "Truncated backpropagation",
        """Cut every k steps, the gradient of a loss at the end knows nothing of what was before the
        cut. The angle to the whole gradient tells what it misses; where the memory is short, little
        is missed.""",
    ),
}
SCENARIOS = """\
    Recurrent networks are told apart by what goes in and what comes out. Each was trained here in
    its preset tiny, on data that it makes itself; its own report, with real data in its other
    presets, lies in the folder of the scenario."""
ATTENTION = """\
    A translator that attends (Bahdanau, Cho and Bengio 2015) weighs the words of the source for
    each word that it writes: a row of the picture, whose weights sum to 1."""
INTRODUCTION = """\
    Every number that the lectures name, measured, with the code that gave it. The code stands by
    itself: paste it, and call its functions."""
