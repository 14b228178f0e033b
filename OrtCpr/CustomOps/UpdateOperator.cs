using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>One step of one parameter by Adam or AdamW, with CPR or without: reads and checks operands, calls the kernel.</summary>
internal sealed unsafe class UpdateOperator : CpuOperator
{
    /// <summary>Columns of the detector: samples, e1, e2, whether κ is set.</summary>
    private const int DetectorColumns = 4;

    private readonly bool _amsGrad;
    private readonly bool _hasDecay;
    private readonly bool _isConstrained;
    private readonly Regularizer _regularizer;
    private readonly BoundMethod _method;

    public UpdateOperator(UpdateVariant variant)
        : base(variant.Name, UpdateSignature.InputsOf(variant), UpdateSignature.OutputsOf(variant))
    {
        _amsGrad = variant.AmsGrad;
        _hasDecay = variant.HasDecay;
        if (variant.Regularizer is null || variant.Method is null)
            return;
        _isConstrained = true;
        _regularizer = Regularizer.ByName[variant.Regularizer];
        _method = UpdateVariant.Methods[variant.Method];
    }

    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        AdamTensors tensors = ReadTensors(ref context, out InputTensor<float> gradient, out ReadOnlySpan<long> shape);
        AdamCoefficients coefficients = ReadAdam(ref context, out long step, out InputTensor<long> group, out bool apply);
        ConstraintSettings settings = default;
        Constraint constraint = default;
        if (_isConstrained)
        {
            constraint = ReadConstraint(ref context);
            settings = ReadSettings(ref context, constraint, group);
        }

        // All inputs are read before the first output is written: any output may be the memory of its input.
        BindOutputs(context, ref tensors, shape);
        if (apply)
        {
            context.Expect(gradient, tensors.Length);
            if (step < 1)
                throw new OperandException($"{Name}: 'step' is {step}; it counts from 1 and is incremented before the update.");
            if (_isConstrained)
                UpdateKernel.Run(coefficients, tensors, _regularizer, settings, ref constraint.State, step, context.Threads);
            else
                UpdateKernel.Run(coefficients, tensors, context.Threads);
        }
        else
        {
            tensors.CopyUnchanged();
        }
        if (_isConstrained)
            Write(context, constraint.State);
    }

    private AdamTensors ReadTensors(ref KernelContext context, out InputTensor<float> gradient, out ReadOnlySpan<long> shape)
    {
        InputTensor<float> parameter = context.Next<float>();
        shape = parameter.Shape;
        gradient = context.Next<float>();
        AdamTensors tensors = new()
        {
            Length = parameter.Length,
            Parameter = parameter.Data,
            Gradient = gradient.Data,
            ExpAvg = ReadMoment(ref context, parameter.Length),
            ExpAvgSq = ReadMoment(ref context, parameter.Length),
        };
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

    private AdamCoefficients ReadAdam(ref KernelContext context, out long step, out InputTensor<long> group, out bool apply)
    {
        InputTensor<long> steps = context.Next<long>();
        InputTensor<long> index = context.NextSingle<long>();
        step = context.Element(steps, index);
        InputTensor<float> learningRates = context.Next<float>();
        group = context.NextSingle<long>();
        double learningRate = context.Element(learningRates, group);
        float gradientScale = context.NextScalar<float>();
        apply = context.Element(context.Next<bool>(), index);
        _ = context.NextScalar<float>(); // beta1: the kernel needs 1 − β1 only, a body may need both.
        float oneMinusBeta1 = context.NextScalar<float>();
        float beta2 = context.NextScalar<float>();
        float oneMinusBeta2 = context.NextScalar<float>();
        float halfLogBeta1 = context.NextScalar<float>();
        float halfLogBeta2 = context.NextScalar<float>();
        float epsilon = context.NextScalar<float>();
        double decay = _hasDecay ? context.Element(context.Next<float>(), group) : 0;
        return AdamCoefficients.At(step, learningRate, halfLogBeta1, halfLogBeta2, decay) with
        {
            GradientScale = gradientScale,
            Beta2 = beta2,
            OneMinusBeta1 = oneMinusBeta1,
            OneMinusBeta2 = oneMinusBeta2,
            Epsilon = epsilon,
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
        return new() { State = state, KappaUpdate = context.NextScalar<float>() };
    }

    private ConstraintSettings ReadSettings(ref KernelContext context, in Constraint constraint, in InputTensor<long> group)
    {
        double rate = context.Element(context.Next<float>(), group);
        ConstraintSettings settings = new() { Method = _method, KappaUpdate = constraint.KappaUpdate, Rate = rate };
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

    private void BindOutputs(in KernelContext context, ref AdamTensors tensors, ReadOnlySpan<long> shape)
    {
        tensors.NewParameter = context.Output(0, shape);
        tensors.NewExpAvg = context.Output(1, shape);
        tensors.NewExpAvgSq = context.Output(2, shape);
        if (_amsGrad)
            tensors.NewMaxExpAvgSq = context.Output(3, shape);
    }

    private void Write(in KernelContext context, in ConstraintState state)
    {
        int next = _amsGrad ? 4 : 3;
        *context.Output(next, [1]) = (float)state.Lambda;
        *context.Output(next + 1, [1]) = (float)state.Kappa;
        float* row = context.Output(next + 2, [1, DetectorColumns]);
        row[0] = (float)state.Samples;
        row[1] = (float)state.LastSample;
        row[2] = (float)state.EarlierSample;
        row[3] = state.IsSet ? 1 : 0;
    }

    /// <summary>What is read before the settings, in the order of the inputs.</summary>
    private struct Constraint
    {
        public ConstraintState State;
        public double KappaUpdate;
    }
}
