using OrtCpr.CustomOps;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Cuda;

/// <summary>One step of all parameters that a joined node covers: two kernels, and two more under a constraint.</summary>
/// <remarks>
/// 1. settings of each parameter, 2. θ and the rule's state, with partial sums of R, 3. R, λ and κ of each matrix, 4. θ
/// along ∇R. Memory traffic an element is that of the rule (28 bytes for Adam), and 8 bytes more while λ &gt; 0.</remarks>
internal sealed unsafe class CudaUpdateOperator : DeviceOperator
{
    /// <summary>A new rule with a kernel is a row here: its kernel, and whether it does decoupled or coupled decay on its way.</summary>
    private static readonly Dictionary<Type, (string Kernel, Type Decay)> Rules = new()
    {
        [typeof(ScaleByAdam)] = ("UpdateByAdam", typeof(AddDecayedWeights)),
        [typeof(ScaleByLion)] = ("UpdateByLion", typeof(AddDecayedWeights)),
        [typeof(ScaleByMomentum)] = ("UpdateByMomentum", typeof(AddCoupledDecay)),
    };

    private readonly string _kernel;
    private readonly UpdateLink _rule;
    private readonly ConstrainNorm? _constraint;
    private readonly string[] _states;

    private CudaUpdateOperator(JoinedDefinition definition, KernelLauncher launcher, UpdateLink rule)
        : base(definition, launcher)
    {
        _rule = rule;
        _kernel = Rules[rule.GetType()].Kernel;
        _constraint = definition.Single.Links.OfType<ConstrainNorm>().FirstOrDefault();
        _states = [.. definition.Single.Slots.Where(s => s.Slot.Role == Graph.Operators.SlotRole.State).Select(s => s.Name)];
    }

    /// <summary>The kernels of a joined update; null where its links have none.</summary>
    public static CudaUpdateOperator? TryCreate(JoinedDefinition definition, KernelLauncher launcher)
    {
        UpdateLink[] links = [.. definition.Single.Links.Where(l => l.Stage != UpdateStage.NewParameter)];
        UpdateLink? rule = links.FirstOrDefault(l => l.Stage == UpdateStage.Direction);
        bool isFused = rule is not null && Rules.TryGetValue(rule.GetType(), out (string Kernel, Type Decay) row)
            && links.All(l => l == rule || l.GetType() == row.Decay)
            && definition.Single.Links.Where(l => l.Stage == UpdateStage.NewParameter)
                .All(l => l is ConstrainNorm { EvaluateAt: EvaluateAt.Updated });
        return isFused ? new(definition, launcher, rule!) : null;
    }

    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> parameter = context.In<float>("parameter");
        UpdateOperands operands = Read(context);
        context.Expect(context.In<float>("gradient"), parameter.Length);
        operands.NewParameter = Out(context, "parameter", parameter.Shape);
        Span<Operand> states = [default, default, default], newStates = [default, default, default];
        for (int i = 0; i < _states.Length; i++)
        {
            InputTensor<float> state = context.In<float>(_states[i]);
            context.Expect(state, parameter.Length);
            states[i] = Of(state);
            newStates[i] = Out(context, _states[i], parameter.Shape);
        }
        (operands.State0, operands.State1, operands.State2) = (states[0], states[1], states[2]);
        (operands.NewState0, operands.NewState1, operands.NewState2) = (newStates[0], newStates[1], newStates[2]);
        if (_constraint is not null)
            AddConstraint(context, ref operands);

        long chunks = CudaChunks.Most(parameter.Length, operands.PartCount);
        long parts = operands.PartCount * (long)sizeof(UpdatePart), partials = 2 * chunks * sizeof(PartialMeasure);
        nint room = Workspace(context, parts + partials + (chunks * sizeof(int)));
        (operands.Parts, operands.Partials, operands.PartOfChunk) = (room, room + parts, room + parts + partials);
        operands.ChunkCount = checked((int)chunks);

        Launcher.Launch("PrepareUpdate", 1, operands, context.Handle);
        Launcher.Launch(_kernel, operands.ChunkCount, operands, context.Handle);
        if (_constraint is null)
            return;
        Launcher.Launch("ConstrainUpdate", operands.PartCount, operands, context.Handle);
        Launcher.Launch("DescendUpdate", operands.ChunkCount, operands, context.Handle);
    }

    private UpdateOperands Read(in KernelContext context)
    {
        InputTensor<long> starts = context.In<long>("starts");
        context.Expect(context.In<long>("lengths"), starts.Length);
        return new()
        {
            Parameter = Floats(context, "parameter"),
            Gradient = Floats(context, "gradient"),
            Starts = Of(starts),
            Lengths = Optional<long>(context, "lengths"),
            Step = Optional<long>(context, "step"),
            Apply = Optional<bool>(context, "apply"),
            LearningRate = Floats(context, "learning_rate"),
            WeightDecay = Optional<float>(context, "weight_decay"),
            ParameterIndex = Optional<long>(context, "parameter_index"),
            GroupIndex = Optional<long>(context, "group_index"),
            GradientScale = Floats(context, "gradient_scale"),
            OneMinusBeta1 = Optional<float>(context, "one_minus_beta1"),
            OneMinusBeta2 = Optional<float>(context, "one_minus_beta2"),
            Beta2 = Optional<float>(context, "beta2"),
            HalfLogBeta1 = Optional<float>(context, "half_log_beta1"),
            HalfLogBeta2 = Optional<float>(context, "half_log_beta2"),
            Epsilon = Optional<float>(context, "epsilon"),
            Momentum = Optional<float>(context, "momentum"),
            OneMinusDampening = Optional<float>(context, "one_minus_dampening"),
            CoupledDecay = Optional<float>(context, "coupled_decay"),
            PartCount = checked((int)starts.Length),
            Regularizer = -1,
            Method = -1,
            Nesterov = _rule is ScaleByMomentum { Nesterov: true } ? 1 : 0,
        };
    }

    private void AddConstraint(in KernelContext context, ref UpdateOperands operands)
    {
        InputTensor<float> lambda = context.In<float>("lambda");
        operands.Lambda = Of(lambda);
        operands.Kappa = Floats(context, "kappa");
        operands.Detector = Floats(context, "detector");
        operands.NewLambda = Out(context, "lambda", [lambda.Length]);
        operands.NewKappa = Out(context, "kappa", [lambda.Length]);
        operands.NewDetector = Out(context, "detector", [lambda.Length, DetectorState.Columns]);
        operands.MatrixIndex = Optional<long>(context, "matrix_index");
        operands.KappaUpdate = Floats(context, "kappa_update");
        operands.ConstraintRate = Floats(context, "constraint_rate");
        operands.KappaFactor = Optional<float>(context, "kappa_factor");
        operands.WarmStartSteps = Optional<long>(context, "warm_start_steps");
        operands.SampleInterval = Optional<long>(context, "sample_interval");
        operands.SampleDecay = Optional<float>(context, "sample_decay");
        operands.MaxWaitSteps = Optional<long>(context, "max_wait_steps");
        operands.Regularizer = (int)_constraint!.Regularizer;
        operands.Method = (int)_constraint.Bound.Kind;
        operands.Adaptive = _constraint.Adaptive ? 1 : 0;
    }
}
