using Microsoft.ML.OnnxRuntime;
using OrtCpr.Kernels;
using OrtCpr.Tests.Kernels;

namespace OrtCpr.Tests.CustomOps;

/// <summary>
/// The arrays that a session of one update operator reads and writes. Vectors have more than one element and the node's
/// own is never the first, so that an index that is ignored or swapped shows. Owns the OrtValues over its arrays.
/// </summary>
internal sealed class UpdateFeeds : IDisposable
{
    public const int ParameterIndex = 2;
    public const int GroupIndex = 1;
    public const int MatrixIndex = 3;
    private const float Wrong = 1e30f;

    private readonly UpdateScenario _scenario;
    private readonly float[] _lambda = [Wrong, Wrong, Wrong, 0, Wrong];
    private readonly float[] _kappa = [Wrong, Wrong, Wrong, 0, Wrong];
    private readonly float[] _detector = [.. Enumerable.Repeat(Wrong, 5 * 4)];
    private readonly float[] _newLambda = new float[1];
    private readonly float[] _newKappa = new float[1];
    private readonly float[] _newDetector = new float[4];
    private readonly bool _inPlace;

    public UpdateFeeds(UpdateScenario scenario, bool inPlace)
    {
        _scenario = scenario;
        _inPlace = inPlace;
        State = [scenario.InitialParameter(), .. Enumerable.Range(0, 3).Select(_ => new float[scenario.Length])];
        NewState = inPlace ? State : [.. State.Select(values => new float[values.Length])];
        ConstraintState constraint = scenario.InitialConstraint();
        Store((float)constraint.Lambda, (float)constraint.Kappa, [0, 0, 0, constraint.IsSet ? 1 : 0]);
    }

    /// <summary>θ, m (or the momentum buffer), v, v̂.</summary>
    public float[][] State { get; }

    /// <summary>Where the outputs go.</summary>
    public float[][] NewState { get; }

    /// <summary>Values that a test changes before a run, by operand name.</summary>
    public Dictionary<string, OrtValue> Overrides { get; } = [];

    public ConstraintState Constraint => new()
    {
        Lambda = _lambda[MatrixIndex],
        Kappa = _kappa[MatrixIndex],
        Samples = _detector[4 * MatrixIndex],
        LastSample = _detector[(4 * MatrixIndex) + 1],
        EarlierSample = _detector[(4 * MatrixIndex) + 2],
        IsSet = _detector[(4 * MatrixIndex) + 3] != 0,
        EverActive = _detector[(4 * MatrixIndex) + 3] > 1,
    };

    /// <summary>One run, its results taken over as the state of the next.</summary>
    public void Step(OperatorSession session, int t, bool apply = true)
    {
        Dictionary<string, OrtValue> inputs = Inputs(t, apply);
        Dictionary<string, OrtValue> outputs = Outputs();
        foreach ((string name, OrtValue value) in Overrides)
            inputs[name] = value;
        try
        {
            session.Run(inputs, outputs);
        }
        finally
        {
            foreach (OrtValue value in inputs.Values.Except(Overrides.Values).Concat(outputs.Values))
                value.Dispose();
        }
        if (_scenario.Method is not null)
            Store(_newLambda[0], _newKappa[0], _newDetector);
        if (_inPlace)
            return;
        for (int i = 0; i < State.Length; i++)
            NewState[i].CopyTo(State[i], 0);
    }

    public void Dispose()
    {
        foreach (OrtValue value in Overrides.Values)
            value.Dispose();
    }

    private Dictionary<string, OrtValue> Inputs(int t, bool apply) => new()
    {
        ["parameter"] = Tensor(State[0]),
        ["gradient"] = Tensor(_scenario.Gradient(t)),
        ["exp_avg"] = Tensor(State[1]),
        ["exp_avg_sq"] = Tensor(State[2]),
        ["max_exp_avg_sq"] = Tensor(State[3]),
        ["momentum_buffer"] = Tensor(State[1]),
        ["coupled_decay"] = Scalar(UpdateScenario.CoupledDecay),
        ["momentum"] = Scalar(UpdateScenario.Momentum),
        ["one_minus_dampening"] = Scalar(1 - _scenario.Dampening),
        ["step"] = OperatorSession.Value<long>([900, 900, t, 900], 4),
        ["parameter_index"] = Scalar<long>(ParameterIndex),
        ["learning_rate"] = OperatorSession.Value([Wrong, UpdateScenario.LearningRate(t)], 2),
        ["group_index"] = Scalar<long>(GroupIndex),
        ["gradient_scale"] = Scalar(UpdateScenario.GradientScale),
        ["apply"] = OperatorSession.Value([!apply, !apply, apply, !apply], 4),
        ["beta1"] = Scalar(UpdateScenario.Beta1),
        ["one_minus_beta1"] = Scalar((float)(1 - (double)UpdateScenario.Beta1)),
        ["beta2"] = Scalar(UpdateScenario.Beta2),
        ["one_minus_beta2"] = Scalar((float)(1 - (double)UpdateScenario.Beta2)),
        ["half_log_beta1"] = Scalar(UpdateScenario.HalfLog(UpdateScenario.Beta1)),
        ["half_log_beta2"] = Scalar(UpdateScenario.HalfLog(UpdateScenario.Beta2)),
        ["epsilon"] = Scalar(UpdateScenario.Epsilon),
        ["weight_decay"] = OperatorSession.Value([Wrong, UpdateScenario.WeightDecay], 2),
        ["lambda"] = OperatorSession.Value(_lambda, 5),
        ["kappa"] = OperatorSession.Value(_kappa, 5),
        ["detector"] = OperatorSession.Value(_detector, 5, 4),
        ["matrix_index"] = Scalar<long>(MatrixIndex),
        ["kappa_update"] = Scalar(_scenario.KappaUpdate),
        ["constraint_rate"] = OperatorSession.Value([Wrong, _scenario.ConstraintRate(t)], 2),
        ["kappa_factor"] = Scalar(UpdateScenario.KappaFactor),
        ["warm_start_steps"] = Scalar(UpdateScenario.WarmStartSteps),
        ["sample_interval"] = Scalar(UpdateScenario.SampleInterval),
        ["sample_decay"] = Scalar(UpdateScenario.SampleDecay),
        ["max_wait_steps"] = Scalar(UpdateScenario.MaxWaitSteps),
    };

    private Dictionary<string, OrtValue> Outputs() => new()
    {
        ["new_parameter"] = Tensor(NewState[0]),
        ["new_exp_avg"] = Tensor(NewState[1]),
        ["new_exp_avg_sq"] = Tensor(NewState[2]),
        ["new_max_exp_avg_sq"] = Tensor(NewState[3]),
        ["new_momentum_buffer"] = Tensor(NewState[1]),
        ["new_lambda"] = OperatorSession.Value(_newLambda, 1),
        ["new_kappa"] = OperatorSession.Value(_newKappa, 1),
        ["new_detector"] = OperatorSession.Value(_newDetector, 1, 4),
    };

    /// <summary>Two-dimensional where the length allows, as weights are.</summary>
    private static OrtValue Tensor(float[] values) => values.Length % 2 == 0
        ? OperatorSession.Value(values, 2, values.Length / 2)
        : OperatorSession.Value(values, values.Length);

    private static OrtValue Scalar<T>(T value)
        where T : unmanaged
        => OperatorSession.Value([value]);

    private void Store(float lambda, float kappa, float[] detector)
    {
        _lambda[MatrixIndex] = lambda;
        _kappa[MatrixIndex] = kappa;
        detector.CopyTo(_detector, 4 * MatrixIndex);
    }
}
