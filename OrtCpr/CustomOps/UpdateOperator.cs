using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>One step of one parameter by Adam, AdamW or SGD, with CPR or without: reads and checks operands, calls the kernel.</summary>
internal sealed unsafe class UpdateOperator : CpuOperator
{
    /// <summary>Columns of the detector: samples, e1, e2, whether κ is set.</summary>
    private const int DetectorColumns = 4;

    private readonly BaseRule _base;
    private readonly bool _amsGrad;
    private readonly bool _adaptive;
    private readonly bool _isConstrained;
    private readonly Regularizer _regularizer;
    private readonly BoundMethod _method;

    public UpdateOperator(UpdateVariant variant)
        : base(variant.Name, UpdateSignature.InputsOf(variant), UpdateSignature.OutputsOf(variant))
    {
        _base = variant.Base;
        _amsGrad = variant.AmsGrad;
        _adaptive = variant.Adaptive;
        if (variant.Regularizer is null || variant.Method is null)
            return;
        _isConstrained = true;
        _regularizer = Regularizer.ByName[variant.Regularizer];
        _method = UpdateVariant.Methods[variant.Method];
    }

    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        UpdateTensors tensors = ReadTensors(ref context, out InputTensor<float> gradient, out ReadOnlySpan<long> shape);
        Common common = ReadCommon(ref context, out InputTensor<long> group);
        AdamCoefficients adam = default;
        SgdCoefficients sgd = default;
        BaseStep rule;
        if (_base.IsAdam)
        {
            adam = ReadAdam(ref context, common, group);
            rule = AdamStep.With(&adam);
        }
        else
        {
            sgd = ReadSgd(ref context, common);
            rule = SgdStep.With(&sgd);
        }
        ConstraintSettings settings = default;
        Constraint constraint = default;
        if (_isConstrained)
        {
            constraint = ReadConstraint(ref context);
            settings = ReadSettings(ref context, constraint, group);
        }

        // All inputs are read before the first output is written: any output may be the memory of its input.
        BindOutputs(context, ref tensors, shape);
        if (common.Apply)
        {
            context.Expect(gradient, tensors.Length);
            if (common.Step < 1)
                throw new OperandException($"{Name}: 'step' is {common.Step}; it counts from 1 and is incremented before the update.");
            if (_isConstrained)
                UpdateKernel.Run(rule, tensors, _regularizer, settings, ref constraint.State, common.Step, context.Threads);
            else
                UpdateKernel.Run(rule, tensors, context.Threads);
        }
        else
        {
            tensors.CopyUnchanged();
        }
        if (_isConstrained)
            Write(context, constraint.State);
    }

    private UpdateTensors ReadTensors(ref KernelContext context, out InputTensor<float> gradient, out ReadOnlySpan<long> shape)
    {
        InputTensor<float> parameter = context.Next<float>();
        shape = parameter.Shape;
        gradient = context.Next<float>();
        UpdateTensors tensors = new()
        {
            Length = parameter.Length,
            Parameter = parameter.Data,
            Gradient = gradient.Data,
        };
        if (_base.IsAdam)
        {
            tensors.ExpAvg = ReadMoment(ref context, parameter.Length);
            tensors.ExpAvgSq = ReadMoment(ref context, parameter.Length);
        }
        if (_base.HasMomentum)
            tensors.MomentumBuffer = ReadMoment(ref context, parameter.Length);
        if (_amsGrad)
            tensors.MaxExpAvgSq = ReadMoment(ref context, parameter.Length);
        return tensors;
    }

    private static float* ReadMoment(ref KernelContext context, nint length)
    {
        InputTensor<float> moment = context.Next<float>();
        context.Expect(moment, length);
        return moment.Data;
    }

    private static Common ReadCommon(ref KernelContext context, out InputTensor<long> group)
    {
        InputTensor<long> steps = context.Next<long>();
        InputTensor<long> index = context.NextSingle<long>();
        InputTensor<float> learningRates = context.Next<float>();
        group = context.NextSingle<long>();
        return new()
        {
            Step = context.Element(steps, index),
            LearningRate = context.Element(learningRates, group),
            GradientScale = context.NextScalar<float>(),
            Apply = context.Element(context.Next<bool>(), index),
        };
    }

    private AdamCoefficients ReadAdam(ref KernelContext context, in Common common, in InputTensor<long> group)
    {
        _ = context.NextScalar<float>(); // beta1: the kernel needs 1 − β1 only, a body may need both.
        float oneMinusBeta1 = context.NextScalar<float>();
        float beta2 = context.NextScalar<float>();
        float oneMinusBeta2 = context.NextScalar<float>();
        float halfLogBeta1 = context.NextScalar<float>();
        float halfLogBeta2 = context.NextScalar<float>();
        float epsilon = context.NextScalar<float>();
        double decay = _base.HasDecay ? context.Element(context.Next<float>(), group) : 0;
        return AdamCoefficients.At(common.Step, common.LearningRate, halfLogBeta1, halfLogBeta2, decay) with
        {
            GradientScale = common.GradientScale,
            Beta2 = beta2,
            OneMinusBeta1 = oneMinusBeta1,
            OneMinusBeta2 = oneMinusBeta2,
            Epsilon = epsilon,
        };
    }

    private SgdCoefficients ReadSgd(ref KernelContext context, in Common common)
    {
        float decay = _base.HasCoupledDecay ? context.NextScalar<float>() : 0;
        float momentum = _base.HasMomentum ? context.NextScalar<float>() : 0;
        float rate = _base.HasMomentum ? context.NextScalar<float>() : 1;
        bool isFirst = common.Step == 1;
        return new()
        {
            GradientScale = common.GradientScale,
            StepSize = common.LearningRate,
            Decay = decay,
            Momentum = momentum,
            BufferDecay = isFirst ? 0 : momentum,
            BufferRate = isFirst ? 1 : rate,
            Nesterov = _base.Nesterov,
        };
    }

    private Constraint ReadConstraint(ref KernelContext context)
    {
        InputTensor<float> lambda = context.Next<float>();
        InputTensor<float> kappa = context.Next<float>();
        InputTensor<float> detector = context.Next<float>();
        InputTensor<long> matrix = context.NextSingle<long>();
        context.Expect(kappa, lambda.Length);
        context.Expect(detector, lambda.Length * DetectorColumns);
        ConstraintState state = new()
        {
            Lambda = context.Element(lambda, matrix),
            Kappa = context.Element(kappa, matrix),
        };
        float* row = detector.Data + (*matrix.Data * DetectorColumns);
        state.Samples = row[0];
        state.LastSample = row[1];
        state.EarlierSample = row[2];
        state.IsSet = row[3] != 0 || _method == BoundMethod.Uniform;
        state.EverActive = row[3] > 1;
        return new() { State = state, KappaUpdate = context.NextScalar<float>() };
    }

    private ConstraintSettings ReadSettings(ref KernelContext context, in Constraint constraint, in InputTensor<long> group)
    {
        double rate = context.Element(context.Next<float>(), group);
        ConstraintSettings settings = new() { Method = _method, Adaptive = _adaptive, KappaUpdate = constraint.KappaUpdate, Rate = rate };
        switch (_method)
        {
            case BoundMethod.Dependent:
                return settings with { KappaFactor = context.NextScalar<float>() };
            case BoundMethod.WarmStart:
                return settings with { WarmStartSteps = context.NextScalar<long>() };
            case BoundMethod.InflectionPoint:
                long interval = context.NextScalar<long>();
                if (interval < 1)
                    throw new OperandException($"{Name}: 'sample_interval' is {interval}, expected 1 or more.");
                return settings with
                {
                    SampleInterval = interval,
                    SampleDecay = context.NextScalar<float>(),
                    MaxWaitSteps = context.NextScalar<long>(),
                };
            default:
                return settings;
        }
    }

    private void BindOutputs(in KernelContext context, ref UpdateTensors tensors, ReadOnlySpan<long> shape)
    {
        int next = 0;
        tensors.NewParameter = context.Output(next++, shape);
        if (_base.IsAdam)
        {
            tensors.NewExpAvg = context.Output(next++, shape);
            tensors.NewExpAvgSq = context.Output(next++, shape);
        }
        if (_amsGrad)
            tensors.NewMaxExpAvgSq = context.Output(next++, shape);
        if (_base.HasMomentum)
            tensors.NewMomentumBuffer = context.Output(next, shape);
    }

    private void Write(in KernelContext context, in ConstraintState state)
    {
        int next = Outputs.Count - 3;
        *context.Output(next, [1]) = (float)state.Lambda;
        *context.Output(next + 1, [1]) = (float)state.Kappa;
        float* row = context.Output(next + 2, [1, DetectorColumns]);
        row[0] = (float)state.Samples;
        row[1] = (float)state.LastSample;
        row[2] = (float)state.EarlierSample;
        row[3] = state.EverActive ? 2 : state.IsSet ? 1 : 0;
    }

    /// <summary>What every rule reads in front of its own scalars.</summary>
    private readonly struct Common
    {
        public long Step { get; init; }

        public float LearningRate { get; init; }

        public float GradientScale { get; init; }

        public bool Apply { get; init; }
    }

    /// <summary>What is read before the settings, in the order of the inputs.</summary>
    private struct Constraint
    {
        public ConstraintState State;
        public double KappaUpdate;
    }
}
