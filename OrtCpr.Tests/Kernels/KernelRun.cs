using OrtCpr.Graph.Optimizers;
using OrtCpr.Kernels;

namespace OrtCpr.Tests.Kernels;

/// <summary>The kernel on managed arrays, in place or from one set of arrays into another.</summary>
internal sealed unsafe class KernelRun
{
    private readonly UpdateScenario _scenario;
    private readonly bool _inPlace;
    private readonly float[] _empty = [];

    public KernelRun(UpdateScenario scenario, bool inPlace)
    {
        _scenario = scenario;
        _inPlace = inPlace;
        State =
        [
            scenario.InitialParameter(),
            new float[scenario.Length],
            new float[scenario.Length],
            scenario.Variant.AmsGrad ? new float[scenario.Length] : _empty,
        ];
        Constraint = scenario.InitialConstraint();
    }

    /// <summary>θ, m (or the momentum buffer), v, v̂.</summary>
    public float[][] State { get; private set; }

    public ConstraintState Constraint { get; private set; }

    public void Step(int t, ParallelLoop loop)
    {
        float[][] next = _inPlace ? State : Array.ConvertAll(State, values => new float[values.Length]);
        fixed (float* parameter = State[0], first = State[1], second = State[2], maximum = State[3], gradient = _scenario.Gradient(t))
        fixed (float* newParameter = next[0], newFirst = next[1], newSecond = next[2], newMaximum = next[3])
        {
            UpdateTensors tensors = new()
            {
                Length = _scenario.Length,
                Parameter = parameter,
                Gradient = gradient,
                NewParameter = newParameter,
            };
            int states = _scenario.Variant.Base.IsAdam ? _scenario.Variant.AmsGrad ? 3 : 2
                : _scenario.Variant.Base.HasMomentum || _scenario.Variant.Base.IsLion ? 1 : 0;
            ReadOnlySpan<nint> old = [(nint)first, (nint)second, (nint)maximum],
                updated = [(nint)newFirst, (nint)newSecond, (nint)newMaximum];
            for (int i = 0; i < states; i++)
                (tensors.State[i], tensors.NewState[i]) = (old[i], updated[i]);
            Run(t, tensors, loop);
        }
        State = next;
    }

    private void Run(int t, in UpdateTensors tensors, ParallelLoop loop)
    {
        AdamCoefficients coefficients = AdamCoefficients.At(
            t,
            UpdateScenario.LearningRate(t),
            UpdateScenario.HalfLog(UpdateScenario.Beta1),
            UpdateScenario.HalfLog(UpdateScenario.Beta2),
            _scenario.Variant.Base.HasDecay ? UpdateScenario.WeightDecay : 0) with
        {
            GradientScale = UpdateScenario.GradientScale,
            Beta2 = UpdateScenario.Beta2,
            OneMinusBeta1 = (float)(1 - (double)UpdateScenario.Beta1),
            OneMinusBeta2 = (float)(1 - (double)UpdateScenario.Beta2),
            Epsilon = UpdateScenario.Epsilon,
        };
        SgdCoefficients sgd = new()
        {
            GradientScale = UpdateScenario.GradientScale,
            StepSize = UpdateScenario.LearningRate(t),
            Decay = _scenario.Variant.Base.HasCoupledDecay ? UpdateScenario.CoupledDecay : 0,
            Momentum = UpdateScenario.Momentum,
            BufferDecay = t == 1 ? 0 : UpdateScenario.Momentum,
            BufferRate = t == 1 ? 1 : 1 - _scenario.Dampening,
            Nesterov = _scenario.Variant.Base.Nesterov,
        };
        LionCoefficients lion = new()
        {
            GradientScale = UpdateScenario.GradientScale,
            OneMinusBeta1 = (float)(1 - (double)UpdateScenario.Beta1),
            OneMinusBeta2 = (float)(1 - (double)UpdateScenario.Beta2),
            StepSize = UpdateScenario.LearningRate(t),
            Decay = _scenario.Variant.Base.HasDecay ? UpdateScenario.LearningRate(t) * UpdateScenario.WeightDecay : 0,
        };
        UpdateTask task = new()
        {
            Rule = _scenario.Variant.Base.IsAdam ? AdamStep.With(&coefficients)
                : _scenario.Variant.Base.IsLion ? LionStep.With(&lion) : SgdStep.With(&sgd),
            Tensors = tensors,
            Step = t,
            State = Constraint,
        };
        if (_scenario.Method is BoundKind method)
        {
            task.IsConstrained = true;
            task.Regularizer = RegularizerFormula.Of(_scenario.Variant.Regularizer!.Value);
            task.Settings = new()
            {
                Method = method,
                Adaptive = _scenario.Variant.Adaptive,
                KappaUpdate = _scenario.KappaUpdate,
                Rate = _scenario.ConstraintRate(t),
                KappaFactor = UpdateScenario.KappaFactor,
                WarmStartSteps = UpdateScenario.WarmStartSteps,
                SampleInterval = UpdateScenario.SampleInterval,
                SampleDecay = UpdateScenario.SampleDecay,
                MaxWaitSteps = UpdateScenario.MaxWaitSteps,
            };
        }
        UpdateKernel.Run(&task, 1, loop);
        Constraint = task.State;
    }
}
