using Microsoft.ML.OnnxRuntime;
using OrtCpr.Buffers;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Schedules;
using OrtCpr.Sessions;

namespace OrtCpr;

/// <summary>Steps an optimizer graph over parameters and state that live in place: one ONNX Runtime run a step, nothing allocated.</summary>
/// <remarks>Owns the parameters, gradients and state. Used by <see cref="TrainingDriver"/>, and by itself where gradients come from elsewhere.
/// Not thread-safe: one call at a time.</remarks>
public sealed class OptimizerDriver : IDisposable
{
    private readonly TensorStore _store = new();
    private readonly GraphSession _session;
    private readonly OrtIoBinding _binding;
    private readonly Schedule?[] _schedules;
    private readonly double[] _rates;
    private readonly bool[] _everActive;
    private bool _disposed;

    /// <summary>Creates the session and the state.</summary>
    /// <param name="graph">The optimizer.</param>
    /// <param name="parameters">Initial value of each parameter, by name.</param>
    /// <param name="options">Threads, kernels, device.</param>
    /// <exception cref="OrtCprException">A parameter is missing or has the wrong type or shape, or an option is out of range.</exception>
    public OptimizerDriver(OptimizerGraph graph, IReadOnlyDictionary<string, TensorData> parameters, DriverOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(graph);
        options ??= new DriverOptions();
        options.Validate();
        Graph = graph;
        Options = options;
        _schedules = new Schedule?[graph.Options.Groups.Length];
        _rates = [.. graph.Options.Groups.Select(g => g.LearningRate)];
        _everActive = new bool[graph.Constrained.Count];
        RefuseMisfits(parameters);
        try
        {
            Allocate(parameters);
            _session = new GraphSession(graph.Model, "optimizer", options);
            _binding = _session.Session.CreateIoBinding();
            Bind();
            Initialize(parameters);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The optimizer that it steps.</summary>
    public OptimizerGraph Graph { get; }

    /// <summary>How it runs.</summary>
    public DriverOptions Options { get; }

    /// <summary>Calls of <see cref="Step"/> so far, skipped ones included. Schedules count these.</summary>
    public long Steps { get; internal set; }

    /// <summary>Steps that were skipped since a gradient was not finite.</summary>
    public long SkippedSteps { get; internal set; }

    /// <summary>Global L2 norm of the scaled gradients in the last step, before clipping; NaN without guard and clipping.</summary>
    public double GradientNorm { get; private set; } = double.NaN;

    internal TensorStore Store => _store;

    internal Schedule?[] Schedules => _schedules;

    internal double[] Rates => _rates;

    internal bool[] EverActive => _everActive;

    /// <summary>Sets the base learning rate of a group; a schedule multiplies it.</summary>
    /// <param name="rate">At least 0.</param>
    /// <param name="group">Group index.</param>
    public void SetLearningRate(double rate, int group = 0)
    {
        CheckGroup(group);
        if (!(rate >= 0 && double.IsFinite(rate))) throw new DriverException($"Learning rate {rate} for group {group}; expected a finite number of at least 0.");
        _rates[group] = rate;
    }

    /// <summary>The learning rate that the next step uses in a group.</summary>
    public double GetLearningRate(int group = 0)
    {
        CheckGroup(group);
        return _rates[group] * (_schedules[group]?.Factor(Steps) ?? 1);
    }

    /// <summary>Sets the schedule of one group, or of all when <paramref name="group"/> is null; null schedule for a constant rate.</summary>
    public void SetSchedule(Schedule? schedule, int? group = null)
    {
        if (group is int g)
        {
            CheckGroup(g);
            _schedules[g] = schedule;
        }
        else
        {
            Array.Fill(_schedules, schedule);
        }
    }

    /// <summary>Sets another scheduled scalar of a group, such as <c>weight_decay</c>.</summary>
    /// <exception cref="DriverException">The optimizer has no such input.</exception>
    public void SetScalar(string name, double value, int group = 0)
    {
        CheckGroup(group);
        if (name == OptimizerGraph.LearningRateInput || Graph.Schedulable.All(s => s.Name != name))
            throw new DriverException($"The optimizer has no scalar '{name}'; it has: {string.Join(", ", Graph.Schedulable.Select(s => s.Name).Where(n => n != OptimizerGraph.LearningRateInput).DefaultIfEmpty("none"))}.");
        WriteScalar(name, group, value);
    }

    /// <summary>A copy of a parameter, state tensor (<c>p.exp_avg</c>, <c>step</c>, <c>cpr.lambda</c> …) or gradient (<c>p_grad</c>).</summary>
    /// <exception cref="DriverException">There is none of that name.</exception>
    public TensorData Get(string name)
    {
        CheckName(name);
        return _store.Read(name);
    }

    /// <summary>Overwrites a parameter, state tensor or gradient in place.</summary>
    /// <exception cref="DriverException">There is none of that name, or type or shape differ.</exception>
    public void Set(string name, TensorData value)
    {
        ArgumentNullException.ThrowIfNull(value);
        CheckName(name);
        _store.Write(name, value);
    }

    /// <summary>Marks which parameters have a gradient in the next steps; all have at the start.</summary>
    public void SetGradientPresent(string parameter, bool present)
    {
        int index = Graph.Parameters.ToList().FindIndex(p => p.Name == parameter);
        if (index < 0) throw new DriverException($"No parameter '{parameter}'. Parameters: {string.Join(", ", Graph.Parameters.Take(20).Select(p => p.Name))}.");
        _store.Span<bool>(OptimizerGraph.GradientPresentInput)[index] = present;
    }

    /// <summary>One step from the gradients in place.</summary>
    /// <param name="gradientScale">Multiplies every gradient before anything else: 1/A for the mean of A accumulated micro-batches. Default 1.</param>
    /// <returns>False when a gradient was not finite and the guard skipped the step; nothing has changed then.</returns>
    public bool Step(double gradientScale = 1)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        for (int g = 0; g < _rates.Length; g++) WriteScalar(OptimizerGraph.LearningRateInput, g, GetLearningRate(g));
        WriteScalar(OptimizerGraph.GradientScaleInput, 0, gradientScale);
        _session.Run(_binding);
        Steps++;
        bool applied = _store.Span<bool>(OptimizerGraph.StepAppliedOutput)[0];
        if (!applied) SkippedSteps++;
        if (Graph.HasGradientNorm) GradientNorm = ReadScalar(OptimizerGraph.GradientNormOutput, 0);
        for (int i = 0; i < _everActive.Length; i++) _everActive[i] |= ReadScalar("cpr.lambda", i) > 0;
        return applied;
    }

    /// <summary>λ, κ and what the detector knows, a row a constrained parameter.</summary>
    public IReadOnlyList<ConstraintInfo> GetConstraints()
    {
        var rows = new List<ConstraintInfo>();
        for (int i = 0; i < Graph.Constrained.Count; i++)
        {
            bool isSet = ReadScalar("cpr.detector", (4 * i) + 3) > 0;
            rows.Add(new(Graph.Constrained[i], ReadScalar("cpr.lambda", i), isSet ? ReadScalar("cpr.kappa", i) : double.NaN, isSet, _everActive[i], (long)ReadScalar("cpr.detector", 4 * i)));
        }
        return rows;
    }

    /// <summary>One line for the end of a run: <c>bounds set n/P, ever active m/P</c>.</summary>
    public string ConstraintSummary
    {
        get
        {
            IReadOnlyList<ConstraintInfo> rows = GetConstraints();
            return $"bounds set {rows.Count(r => r.IsSet)}/{rows.Count}, ever active {rows.Count(r => r.EverActive)}/{rows.Count}";
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _binding?.Dispose();
        _session?.Dispose();
        _store.Dispose();
    }

    private void Allocate(IReadOnlyDictionary<string, TensorData> parameters)
    {
        foreach (ParameterSpec p in Graph.Parameters)
        {
            _store.Allocate(p.Name, p.Type, p.Dimensions, parameters[p.Name]);
            _store.Allocate(OptimizerGraph.GradientOf(p.Name), p.Type, p.Dimensions);
        }
        foreach (StateTensor s in Graph.State) _store.Allocate(s.Name, s.Type, s.Dimensions, s.Initial);
        foreach (RunningStatistic s in Graph.Statistics)
        {
            _store.Allocate(s.Name, s.Type, s.Dimensions);
            _store.Allocate(s.Pending, s.Type, s.Dimensions);
        }
        foreach ((string name, IReadOnlyList<double> values) in Graph.Schedulable)
        {
            _store.Allocate(name, Graph.Type, [values.Count]);
            for (int g = 0; g < values.Count; g++) WriteScalar(name, g, values[g]);
        }
        _store.Allocate(OptimizerGraph.GradientScaleInput, Graph.Type, []);
        _store.Allocate(OptimizerGraph.GradientPresentInput, ElementType.Bool, [Graph.Parameters.Count]);
        _store.Span<bool>(OptimizerGraph.GradientPresentInput).Fill(true);
        _store.Allocate(OptimizerGraph.StepAppliedOutput, ElementType.Bool, [1]);
        if (Graph.HasGradientNorm) _store.Allocate(OptimizerGraph.GradientNormOutput, Graph.Type, [1]);
    }

    // State is bound as input and output to one buffer: updated in place.
    private void Bind()
    {
        foreach (string input in _session.Session.InputNames) _binding.BindInput(input, _store[input]);
        foreach (string output in _session.Session.OutputNames)
        {
            string state = output.EndsWith(".updated", StringComparison.Ordinal) && _store.Contains(output[..^".updated".Length]) ? output[..^".updated".Length] : output;
            _binding.BindOutput(output, _store[state]);
        }
    }

    // Runs the optimizer's start-up graph once, where it has one.
    private void Initialize(IReadOnlyDictionary<string, TensorData> parameters)
    {
        if (!Graph.HasInitialization) return;
        using var session = new GraphSession(Graph.Initialization!, "optimizer_initialization", Options);
        using OrtIoBinding binding = session.Session.CreateIoBinding();
        foreach (string input in session.Session.InputNames) binding.BindInput(input, _store[input]);
        foreach (string output in session.Session.OutputNames) binding.BindOutput(output, _store[output[..^".updated".Length]]);
        session.Run(binding);
    }

    private void RefuseMisfits(IReadOnlyDictionary<string, TensorData> parameters)
    {
        var problems = new List<string>();
        foreach (ParameterSpec p in Graph.Parameters)
        {
            if (!parameters.TryGetValue(p.Name, out TensorData? data)) problems.Add($"'{p.Name}' is missing");
            else if (data.Type != p.Type || !data.Dimensions.SequenceEqual(p.Dimensions)) problems.Add($"'{p.Name}': expected {p.Type}[{string.Join(',', p.Dimensions)}], found {data}");
        }
        if (problems.Count > 0) throw new DriverException($"Initial parameters do not fit the optimizer: {string.Join("; ", problems)}.");
    }

    private void CheckGroup(int group)
    {
        if (group < 0 || group >= _rates.Length) throw new DriverException($"Group {group}; the optimizer has {_rates.Length} group(s), expected 0 to {_rates.Length - 1}.");
    }

    private void CheckName(string name)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (!_store.Contains(name)) throw new DriverException($"No tensor '{name}'. There are: {string.Join(", ", _store.Names.Order(StringComparer.Ordinal).Take(30))}{(_store.Names.Count > 30 ? ", …" : "")}.");
    }

    private void WriteScalar(string name, int index, double value)
    {
        if (Graph.Type == ElementType.Double) _store.Span<double>(name)[index] = value;
        else _store.Span<float>(name)[index] = (float)value;
    }

    private double ReadScalar(string name, int index) => Graph.Type == ElementType.Double ? _store.Span<double>(name)[index] : _store.Span<float>(name)[index];
}

/// <summary>Where a constrained parameter stands.</summary>
/// <param name="Name">The parameter.</param>
/// <param name="Lambda">Lagrange multiplier, at least 0.</param>
/// <param name="Kappa">Bound on R; NaN while not set.</param>
/// <param name="IsSet">Whether the bound is set.</param>
/// <param name="EverActive">Whether λ has been above 0 after any step.</param>
/// <param name="Samples">Samples of R that the inflection detector has taken.</param>
public sealed record ConstraintInfo(string Name, double Lambda, double Kappa, bool IsSet, bool EverActive, long Samples);
