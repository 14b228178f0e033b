using Microsoft.ML.OnnxRuntime;
using OrtCpr.Buffers;
using OrtCpr.CustomOps;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;
using OrtCpr.Schedules;
using OrtCpr.Sessions;

namespace OrtCpr;

/// <summary>Steps an optimizer graph over parameters and state that live in place: one ONNX Runtime run a step, nothing allocated.</summary>
/// <remarks>Owns the parameters, gradients and state. Used by <see cref="TrainingDriver"/>, and by itself where gradients come from elsewhere.
/// Not thread-safe: one call at a time, from any thread. Several drivers share nothing and may run at once.</remarks>
public sealed class OptimizerDriver : IDisposable
{
    private readonly Device _device;
    private readonly TensorStore _store = null!;
    private readonly GraphSession _session = null!;
    private readonly OrtIoBinding _binding = null!;
    private readonly ScalarSchedules _scalars;
    private readonly Dictionary<string, int> _indices;
    private readonly bool[] _present;
    private readonly SortedSet<string> _frozen = new(StringComparer.Ordinal);
    private bool _disposed;

    /// <summary>Creates the session and the state.</summary>
    /// <param name="plan">The job; of its graphs only the optimizer's is run.</param>
    /// <param name="parameters">Initial value of each parameter, by name.</param>
    /// <param name="options">Threads, kernels, device.</param>
    /// <exception cref="OrtCprException">A parameter is missing or has the wrong type or shape, an option is out of range, or the device is not there.</exception>
    public OptimizerDriver(TrainingPlan plan, IReadOnlyDictionary<string, TensorData> parameters, DriverOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(parameters);
        options ??= new DriverOptions();
        options.Validate();
        Plan = plan;
        Options = options;
        _scalars = new ScalarSchedules(plan);
        _indices = plan.Trained.Select((p, i) => (p.Name, i)).ToDictionary(p => p.Name, p => p.i, StringComparer.Ordinal);
        _present = [.. Enumerable.Repeat(true, plan.Trained.Count)];
        RefuseMisfits(parameters);
        _device = DeviceCatalog.Open(options.Device);
        try
        {
            _store = new TensorStore(_device, plan);
            foreach (ParameterSpec p in plan.Trained) _store.Write(p.Name, parameters[p.Name]);
            for (int i = 0; i < _present.Length; i++) UpdatePresence(i);
            JoinedOptimizer? joined = JoinedGraph();
            _session = new GraphSession(joined?.Model ?? plan.OptimizerModel, "optimizer", options, _device, name => DefinitionOf(name, joined));
            _binding = _session.Session.CreateIoBinding();
            _session.Bind(_binding, PlanGraph.Optimizer, plan, _store);
            if (joined is not null) _session.Bind(_binding, joined.Uses, _store);
            Initialize();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The job whose optimizer it steps.</summary>
    public TrainingPlan Plan { get; }

    /// <summary>Threads, kernels and device that it was made with.</summary>
    public DriverOptions Options { get; }

    /// <summary>Calls of <see cref="Step"/> so far, skipped ones included. Schedules count these.</summary>
    public long Steps { get; internal set; }

    /// <summary>Steps that were skipped since a gradient was not finite. Counted on the device; reading it waits for the device.</summary>
    public long SkippedSteps => Plan.Find(TensorRole.Shared, null, OptimizerGraphBuilder.SkippedSteps) is TensorSlot slot ? (long)_store.Number(slot.Key) : 0;

    /// <summary>Global L2 norm of the scaled gradients in the last step, before clipping; NaN without guard and clipping. Reading it waits for the device.</summary>
    public double GradientNorm => Steps > 0 && Plan.Find(TensorRole.GradientNorm) is TensorSlot slot ? _store.Number(slot.Key) : double.NaN;

    /// <summary>Names of the parameters that are frozen at the moment, sorted.</summary>
    public IReadOnlyCollection<string> Frozen => _frozen;

    internal TensorStore Store => _store;

    internal Device Device => _device;

    internal ScalarSchedules Scalars => _scalars;

    /// <summary>Sets the base learning rate of a group; a schedule multiplies it.</summary>
    /// <param name="rate">At least 0.</param>
    /// <param name="group">Group index.</param>
    /// <exception cref="DriverException">The rate or the group is out of range.</exception>
    public void SetLearningRate(double rate, int group = 0) => _scalars.SetValue(UpdateRule.LearningRateScalar, group, rate);

    /// <summary>The learning rate that the next step uses in a group.</summary>
    /// <exception cref="DriverException">There is no such group.</exception>
    public double GetLearningRate(int group = 0) => GetScalar(UpdateRule.LearningRateScalar, group);

    /// <summary>Sets the base value of a scalar of a group, such as <c>weight_decay</c>; a schedule multiplies it.</summary>
    /// <exception cref="DriverException">The optimizer has no such scalar or group, or the value is negative or not finite.</exception>
    public void SetScalar(string name, double value, int group = 0) => _scalars.SetValue(name, group, value);

    /// <summary>The value of a scalar that the next step uses in a group.</summary>
    /// <exception cref="DriverException">The optimizer has no such scalar or group.</exception>
    public double GetScalar(string name, int group = 0)
    {
        _scalars.Check(name, group);
        return _scalars.At(name, group, Steps);
    }

    /// <summary>Sets the schedule of a scalar in one group, or in all.</summary>
    /// <param name="schedule">The schedule; null for a constant value.</param>
    /// <param name="group">Group index; null for all groups.</param>
    /// <param name="scalar">The learning rate by default; <c>weight_decay</c> or another scheduled input.</param>
    /// <exception cref="OptionException">The schedule has options out of range.</exception>
    /// <exception cref="DriverException">There is no such scalar or group.</exception>
    public void SetSchedule(Schedule? schedule, int? group = null, string scalar = UpdateRule.LearningRateScalar)
    {
        _scalars.SetSchedule(scalar, group, schedule);
        _scalars.StepsAhead = 0;
    }

    /// <summary>Tells all schedules a metric; those that wait for a plateau learn from it.</summary>
    /// <param name="metric">A validation loss, say.</param>
    public void ReportMetric(double metric) => _scalars.Report(metric);

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

    /// <summary>Overwrites the gradient of a parameter, where gradients come from elsewhere.</summary>
    /// <param name="parameter">The parameter.</param>
    /// <param name="gradient">Type and shape of the parameter.</param>
    /// <exception cref="DriverException">There is no such parameter, or type or shape differ.</exception>
    public void SetGradient(string parameter, TensorData gradient) => Set(GradientKey(parameter), gradient);

    /// <summary>A copy of the gradient of a parameter.</summary>
    /// <exception cref="DriverException">There is no such parameter.</exception>
    public TensorData GetGradient(string parameter) => Get(GradientKey(parameter));

    /// <summary>Marks which parameters have a gradient in the next steps; all have at the start. One without keeps its value and all of its state.</summary>
    /// <exception cref="DriverException">There is no such parameter.</exception>
    public void SetGradientPresent(string parameter, bool present)
    {
        if (!_indices.TryGetValue(parameter, out int index)) throw NoParameter(parameter);
        _present[index] = present;
        UpdatePresence(index);
    }

    /// <summary>Freezes parameters: until <see cref="Unfreeze"/> they keep value, moments, step count, λ and κ, and do not count in the gradient norm.</summary>
    /// <param name="patterns">Names: exact, with * and ?, or <c>regex:…</c>.</param>
    /// <returns>Number of parameters that became frozen.</returns>
    /// <exception cref="DriverException">A pattern fits no parameter.</exception>
    public int Freeze(params IReadOnlyList<NamePattern> patterns) => Matching(patterns).Count(n => Mark(n, _frozen.Add(n)));

    /// <summary>Undoes <see cref="Freeze"/>; training goes on from the state of then.</summary>
    /// <param name="patterns">Names: exact, with * and ?, or <c>regex:…</c>.</param>
    /// <returns>Number of parameters that are trained again.</returns>
    /// <exception cref="DriverException">A pattern fits no parameter.</exception>
    public int Unfreeze(params IReadOnlyList<NamePattern> patterns) => Matching(patterns).Count(n => Mark(n, _frozen.Remove(n)));

    /// <summary>One step from the gradients in place.</summary>
    /// <param name="gradientScale">Multiplies every gradient before anything else: 1/A for the mean of A accumulated micro-batches. Default 1.</param>
    /// <returns>On the CPU false when a gradient was not finite and the guard skipped the step; nothing has changed then. On other devices always true,
    /// since the answer would cost a wait each step: <see cref="SkippedSteps"/> has the count when it is asked for.</returns>
    public bool Step(double gradientScale = 1)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        foreach (string scalar in _scalars.Names)
        {
            string key = Plan.Find(TensorRole.GroupScalar, null, scalar)!.Key;
            for (int g = 0; g < _scalars.GroupCount; g++) WriteInput(key, g, _scalars.At(scalar, g, Steps));
        }
        if (Plan.Find(TensorRole.GradientScale) is TensorSlot scale) WriteInput(scale.Key, 0, gradientScale);
        _store.Flush();
        _session.Run(_binding);
        Steps++;
        return !_device.IsHost || _store.Number(Plan.Find(TensorRole.StepApplied)!.Key) != 0;
    }

    /// <summary>λ, κ and what the detector knows, a row a constrained parameter. Waits for the device.</summary>
    public IReadOnlyList<ConstraintInfo> GetConstraints()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (Plan.Constrained.Count == 0) return [];
        double[] lambda = ReadRows("lambda"), kappa = ReadRows("kappa"), detector = ReadRows("detector");
        return [.. Plan.Constrained.Select((name, i) => InfoOf(name, lambda[i], kappa[i], detector.AsSpan(i * DetectorState.Columns, DetectorState.Columns)))];
    }

    /// <summary>λ, κ and R as they are, a row a constrained parameter. Reads each of them; waits for the device.</summary>
    public IReadOnlyList<ConstraintMeasure> MeasureConstraints() => [.. GetConstraints().Select(c =>
    {
        Regularizer regularizer = ConstraintOf(c.Name).Regularizer;
        TensorData value = Get(c.Name);
        double measure = value.Type == ElementType.Float ? regularizer.Measure(value.AsSpan<float>()) : regularizer.Measure<double>(value.ToDoubles());
        return new ConstraintMeasure(c.Name, c.Lambda, c.Kappa, measure, c.IsSet);
    })];

    /// <summary>Sets every bound that is not set yet to R of its matrix as it is now, as a warm start does after its step.</summary>
    /// <param name="which">Of the matrices under these constraints.</param>
    internal void SetMissingBounds(Predicate<ConstrainNorm> which)
    {
        IReadOnlyList<ConstraintMeasure> rows = MeasureConstraints();
        if (rows.Count == 0) return;
        double[] kappa = ReadRows("kappa"), detector = ReadRows("detector");
        for (int i = 0; i < rows.Count; i++)
        {
            if (rows[i].IsSet || !which(ConstraintOf(rows[i].Name))) continue;
            kappa[i] = rows[i].Measure;
            detector[(DetectorState.Columns * i) + DetectorState.StateColumn] = DetectorState.Set;
        }
        WriteRows("kappa", kappa);
        WriteRows("detector", detector);
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
        _store?.Dispose();
        _device.Dispose();
    }

    // Running statistics as the last applied step left them.
    internal void RestorePendingStatistics()
    {
        foreach (TensorSlot pending in Plan.Slots.Where(s => s.Role == TensorRole.PendingStatistic)) _store.Write(pending.Key, _store.Read(pending.Owner!));
    }

    // Replaces the set of frozen parameters; names that are no parameters are left out.
    internal void SetFrozen(IEnumerable<string> names)
    {
        _frozen.Clear();
        _frozen.UnionWith(names.Where(_indices.ContainsKey));
        for (int i = 0; i < _present.Length; i++) UpdatePresence(i);
    }

    private string GradientKey(string parameter) => Plan.Find(TensorRole.Gradient, parameter)?.Key ?? throw NoParameter(parameter);

    private DriverException NoParameter(string name) =>
        new($"No parameter '{name}'. Parameters: {string.Join(", ", Plan.Trained.Take(20).Select(p => p.Name))}{(Plan.Trained.Count > 20 ? ", …" : "")}.");

    private double[] ReadRows(string kind) => _store.Read(Plan.Find(TensorRole.Rows, null, kind)!.Key).ToDoubles();

    private void WriteRows(string kind, double[] values)
    {
        TensorSlot slot = Plan.Find(TensorRole.Rows, null, kind)!;
        _store.Write(slot.Key, TensorData.From<double>(values, [.. slot.Dimensions]).ConvertTo(slot.Type));
    }

    private ConstrainNorm ConstraintOf(string parameter) => Plan.Optimizer.Groups[Plan.Trained[_indices[parameter]].Group].Constraint!;

    private static ConstraintInfo InfoOf(string name, double lambda, double kappa, ReadOnlySpan<double> detector)
    {
        double state = detector[DetectorState.StateColumn];
        bool isSet = state >= DetectorState.Set;
        return new ConstraintInfo(
            name, lambda, isSet ? kappa : double.NaN, isSet, state >= DetectorState.EverActive, (long)detector[DetectorState.SamplesColumn]);
    }

    // Update nodes over flat memory where there are kernels for them; else the graph with a node a parameter.
    private JoinedOptimizer? JoinedGraph() => Options.Kernels && _device.Capabilities.Kernels && _store.Layout is FlatLayout layout
        ? JoinUpdates.Run(Plan, layout, KernelCatalog.Supports) : null;

    private OperatorDefinition? DefinitionOf(string name, JoinedOptimizer? joined) =>
        joined?.Operators.FirstOrDefault(o => o.Name == name) ?? Plan.Operators.GetValueOrDefault(name);

    // Runs the optimizer's start-up graph once, where it has one.
    private void Initialize()
    {
        if (Plan.InitializationModel is null) return;
        using var session = new GraphSession(Plan.InitializationModel, "optimizer_initialization", Options, _device);
        using OrtIoBinding binding = session.Session.CreateIoBinding();
        session.Bind(binding, PlanGraph.Initialization, Plan, _store);
        session.Run(binding);
    }

    private void RefuseMisfits(IReadOnlyDictionary<string, TensorData> parameters)
    {
        var problems = new List<string>();
        foreach (ParameterSpec p in Plan.Trained)
        {
            if (!parameters.TryGetValue(p.Name, out TensorData? data)) problems.Add($"'{p.Name}' is missing");
            else if (data.Type != p.Type || !data.Dimensions.SequenceEqual(p.Dimensions)) problems.Add($"'{p.Name}': expected {p.Type}[{string.Join(',', p.Dimensions)}], found {data}");
        }
        if (problems.Count > 0) throw new DriverException($"Initial parameters do not fit the optimizer: {string.Join("; ", problems)}.");
    }

    private List<string> Matching(IReadOnlyList<NamePattern> patterns)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        string[] idle = [.. patterns.Where(p => !Plan.Trained.Any(q => p.Matches(q.Name))).Select(p => $"'{p}'")];
        if (idle.Length > 0) throw new DriverException($"{string.Join(", ", idle)} fit no trained parameter. Parameters: {string.Join(", ", Plan.Trained.Take(20).Select(p => p.Name))}{(Plan.Trained.Count > 20 ? ", …" : "")}.");
        return [.. Plan.Trained.Select(p => p.Name).Where(n => patterns.Any(p => p.Matches(n)))];
    }

    private bool Mark(string name, bool changed)
    {
        UpdatePresence(_indices[name]);
        return changed;
    }

    private void UpdatePresence(int index)
    {
        if (Plan.Find(TensorRole.GradientPresent) is not TensorSlot slot) return;
        _store.SetInput(slot.Key, index, _present[index] && !_frozen.Contains(Plan.Trained[index].Name));
    }

    private void CheckName(string name)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (!_store.Contains(name)) throw new DriverException($"No tensor '{name}'. There are: {string.Join(", ", _store.Names.Order(StringComparer.Ordinal).Take(30))}{(_store.Names.Count > 30 ? ", …" : "")}.");
    }

    private void WriteInput(string name, int index, double value)
    {
        if (Plan.Type == ElementType.Double) _store.SetInput(name, index, value);
        else _store.SetInput(name, index, (float)value);
    }
}

/// <summary>Where a constrained parameter stands.</summary>
/// <param name="Name">The parameter.</param>
/// <param name="Lambda">Lagrange multiplier, at least 0.</param>
/// <param name="Kappa">Bound on R; NaN while not set.</param>
/// <param name="IsSet">Whether the bound is set.</param>
/// <param name="EverActive">Whether λ has been above 0 after any step.</param>
/// <param name="Samples">Samples of R that the inflection detector has taken.</param>
public sealed record ConstraintInfo(string Name, double Lambda, double Kappa, bool IsSet, bool EverActive, long Samples);

/// <summary>Where a constrained parameter stands, R included.</summary>
/// <param name="Name">The parameter.</param>
/// <param name="Lambda">Lagrange multiplier, at least 0.</param>
/// <param name="Kappa">Bound on R; NaN while not set.</param>
/// <param name="Measure">R of the parameter; for a bound per element R is still that of the whole.</param>
/// <param name="IsSet">Whether the bound is set.</param>
public sealed record ConstraintMeasure(string Name, double Lambda, double Kappa, double Measure, bool IsSet);
