using OrtCpr.Graph.Optimizers;
using OrtCpr.Kernels;

namespace OrtCpr.Tests.Kernels;

/// <summary>The step of the specification in float64, formula by formula: nothing fused, nothing rearranged, no code shared.</summary>
internal sealed class ReferenceUpdate
{
    private readonly UpdateScenario _scenario;

    public ReferenceUpdate(UpdateScenario scenario)
    {
        _scenario = scenario;
        Parameter = Array.ConvertAll(scenario.InitialParameter(), value => (double)value);
        ExpAvg = new double[Parameter.Length];
        ExpAvgSq = new double[Parameter.Length];
        MaxExpAvgSq = new double[Parameter.Length];
        ConstraintState constraint = scenario.InitialConstraint();
        Kappa = constraint.Kappa;
        IsSet = constraint.IsSet;
    }

    public double[] Parameter { get; }

    public double[] ExpAvg { get; }

    public double[] ExpAvgSq { get; }

    public double[] MaxExpAvgSq { get; }

    public double Lambda { get; private set; }

    public double Kappa { get; private set; }

    public bool IsSet { get; private set; }

    public List<double> Samples { get; } = [];

    private Regularizer Measure => _scenario.Variant.Regularizer!.Value;

    public void Step(int t)
    {
        if (!IsSet && _scenario.Method == BoundKind.Dependent)
        {
            Kappa = UpdateScenario.KappaFactor * ReferenceRegularizer.Value(Measure, Parameter);
            IsSet = true;
        }
        if (_scenario.Variant.Base.IsAdam)
            Adam(t);
        else if (_scenario.Variant.Base.IsLion)
            Lion(t);
        else
            Sgd(t);
        if (_scenario.Method is null)
            return;

        double value = ReferenceRegularizer.Value(Measure, Parameter);
        if (IsSet)
            Constrain(t, value);
        else if (Sets(t, value))
            (Kappa, IsSet) = (value, true);
    }

    private void Adam(int t)
    {
        float[] gradient = _scenario.Gradient(t);
        double rate = UpdateScenario.LearningRate(t);
        double correction1 = 1 - Math.Pow(UpdateScenario.Beta1, t);
        double correction2 = 1 - Math.Pow(UpdateScenario.Beta2, t);
        for (int i = 0; i < Parameter.Length; i++)
        {
            double g = (double)UpdateScenario.GradientScale * gradient[i];
            if (_scenario.Variant.Base.HasDecay)
                Parameter[i] *= 1 - (rate * UpdateScenario.WeightDecay);
            ExpAvg[i] = (UpdateScenario.Beta1 * ExpAvg[i]) + ((1 - (double)UpdateScenario.Beta1) * g);
            ExpAvgSq[i] = (UpdateScenario.Beta2 * ExpAvgSq[i]) + ((1 - (double)UpdateScenario.Beta2) * g * g);
            MaxExpAvgSq[i] = Math.Max(MaxExpAvgSq[i], ExpAvgSq[i]);
            double second = _scenario.Variant.AmsGrad ? MaxExpAvgSq[i] : ExpAvgSq[i];
            Parameter[i] -= rate / correction1 * ExpAvg[i] / ((Math.Sqrt(second) / Math.Sqrt(correction2)) + UpdateScenario.Epsilon);
        }
    }

    private void Lion(int t)
    {
        float[] gradient = _scenario.Gradient(t);
        double rate = UpdateScenario.LearningRate(t);
        for (int i = 0; i < Parameter.Length; i++)
        {
            double g = (double)UpdateScenario.GradientScale * gradient[i];
            double direction = (UpdateScenario.Beta1 * ExpAvg[i]) + ((1 - (double)UpdateScenario.Beta1) * g);
            if (_scenario.Variant.Base.HasDecay)
                Parameter[i] *= 1 - (rate * UpdateScenario.WeightDecay);
            Parameter[i] -= rate * Math.Sign(direction);
            ExpAvg[i] = (UpdateScenario.Beta2 * ExpAvg[i]) + ((1 - (double)UpdateScenario.Beta2) * g);
        }
    }

    /// <summary><see cref="ExpAvg"/> is the momentum buffer.</summary>
    private void Sgd(int t)
    {
        float[] gradient = _scenario.Gradient(t);
        BaseRule rule = _scenario.Variant.Base;
        for (int i = 0; i < Parameter.Length; i++)
        {
            double g = (double)UpdateScenario.GradientScale * gradient[i];
            if (rule.HasCoupledDecay)
                g += UpdateScenario.CoupledDecay * Parameter[i];
            if (rule.HasMomentum)
            {
                ExpAvg[i] = t == 1 ? g : (UpdateScenario.Momentum * ExpAvg[i]) + ((1 - _scenario.Dampening) * g);
                g = rule.Nesterov ? g + (UpdateScenario.Momentum * ExpAvg[i]) : ExpAvg[i];
            }
            Parameter[i] -= UpdateScenario.LearningRate(t) * g;
        }
    }

    private void Constrain(int t, double value)
    {
        double before = Lambda;
        Lambda = Math.Max(0, Lambda + (_scenario.KappaUpdate * (value - Kappa)));
        if (_scenario.Variant.Adaptive && before > 0 && Lambda == 0)
            Kappa = value;
        double[] gradient = ReferenceRegularizer.Gradient(Measure, Parameter);
        for (int i = 0; i < Parameter.Length; i++)
            Parameter[i] -= _scenario.ConstraintRate(t) * Lambda * gradient[i];
    }

    private bool Sets(int t, double value)
    {
        if (_scenario.Method == BoundKind.WarmStart)
            return t == UpdateScenario.WarmStartSteps;
        double decay = UpdateScenario.SampleDecay;
        Samples.Add(Samples.Count == 0 ? value : (decay * Samples[^1]) + ((1 - decay) * value));
        return Samples.Count >= 4 && Samples[^1] - Samples[^2] - (Samples[^2] - Samples[^3]) < 0;
    }
}
