namespace OrtCpr.Cuda;

/// <summary>What the kernels of one step over flat buffers work on. Settings have one element, or one a parameter.</summary>
internal struct UpdateOperands
{
    /// <summary>θ before and after the step; the same memory as a rule.</summary>
    public Operand Parameter, NewParameter;

    /// <summary>∂loss/∂θ.</summary>
    public Operand Gradient;

    /// <summary>State of the rule in the order of its slots, before and after.</summary>
    public Operand State0, State1, State2, NewState0, NewState1, NewState2;

    /// <summary>First element and length of each parameter, int64.</summary>
    public Operand Starts, Lengths;

    /// <summary>Over all parameters of the job: t after this step, int64, and whether it takes part, bool.</summary>
    public Operand Step, Apply;

    /// <summary>Over all groups.</summary>
    public Operand LearningRate, WeightDecay;

    /// <summary>Where a parameter finds its element in those, int64.</summary>
    public Operand ParameterIndex, GroupIndex;

    /// <summary>Multiplies gradients.</summary>
    public Operand GradientScale;

    /// <summary>Of Adam, and the first two of Lion.</summary>
    public Operand OneMinusBeta1, OneMinusBeta2, Beta2, HalfLogBeta1, HalfLogBeta2, Epsilon;

    /// <summary>Of SGD.</summary>
    public Operand Momentum, OneMinusDampening, CoupledDecay;

    /// <summary>Rows of all constrained matrices, before and after, and the row of each parameter, int64.</summary>
    public Operand Lambda, Kappa, Detector, NewLambda, NewKappa, NewDetector, MatrixIndex;

    /// <summary>Of the constraint; rate is over all groups.</summary>
    public Operand KappaUpdate, ConstraintRate, KappaFactor, WarmStartSteps, SampleInterval, SampleDecay, MaxWaitSteps;

    /// <summary>Room for an <see cref="UpdatePart"/> a parameter.</summary>
    public long Parts;

    /// <summary>Room for the parameter of each chunk, int32.</summary>
    public long PartOfChunk;

    /// <summary>Room for two <see cref="PartialMeasure"/> a chunk: of θ before the step, and after it.</summary>
    public long Partials;

    /// <summary>How many parameters, and how many chunks there is room for.</summary>
    public int PartCount, ChunkCount;

    /// <summary>A <c>Regularizer</c> and a <c>BoundKind</c>; −1 without a constraint.</summary>
    public int Regularizer, Method;

    /// <summary>1 for AdaCPR; 1 for Nesterov's look-ahead.</summary>
    public int Adaptive, Nesterov;
}

/// <summary>One parameter in a step: what the first kernel reads of its settings, and what the others add.</summary>
internal struct UpdatePart
{
    /// <summary>First element and length in the flat buffers, its first chunk, and its row among the constrained matrices.</summary>
    public long Start, Length, FirstChunk, Row;

    /// <summary>t.</summary>
    public long Step;

    /// <summary>1 where it takes part in the step, and needs R of θ after the step, and before it.</summary>
    public int Applies, Measures, MeasuresInitial;

    /// <summary>Scalars of the rule, each rounded to float once. Adam and Lion: First and Second are 1 − β1 and 1 − β2, Third is β2.
    /// SGD: First and Second are what the buffer and the gradient enter the buffer with, Third is the momentum of the look-ahead.</summary>
    public float GradientScale, StepSize, Decay, SecondMomentScale, First, Second, Third, Epsilon;

    /// <summary>s·λ times what is between direction and gradient; 0 where the parameter stays as it is.</summary>
    public float DescentRate;

    /// <summary>Mean of θ after the step, for the standard deviation.</summary>
    public float Mean;

    /// <summary>Fills the struct up to whole 64 bits, whose alignment it has.</summary>
    public float Unused;
}

/// <summary>What a regularizer knows of a chunk; see <c>RegularizerSum</c>.</summary>
internal struct PartialMeasure
{
    /// <summary>Elements, sum (or squared deviations), mean.</summary>
    public double Count, Total, Mean;
}

/// <summary>How flat buffers are cut for a grid of blocks.</summary>
internal static class CudaChunks
{
    /// <summary>Elements of a chunk, which one block steps: 64 a thread, so that a block has work for longer than its start
    /// takes, and a small tensor still spreads over many processors.</summary>
    public const int Length = 16384;

    /// <summary>Room for the chunks of any cut of so many elements into so many tensors.</summary>
    public static long Most(long elements, long tensors) => (elements / Length) + tensors;
}
