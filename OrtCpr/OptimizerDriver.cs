using Microsoft.ML.OnnxRuntime;
using OrtCpr.Buffers;
using OrtCpr.Devices;
using OrtCpr.Graph;
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
    private readonly TensorStore _store;
    private readonly GraphSession _session;
    private readonly OrtIoBinding _binding;
    private readonly ScalarSchedules _scalars;
    private readonly Dictionary<string, int> _indices;
    private readonly bool[] _present;
    private readonly SortedSet<string> _frozen = new(StringComparer.Ordinal);
    private bool _disposed;

    /// <summary>Creates the session and the state.</summary>
    /// <param name="graph">The optimizer.</param>
    /// <param name="parameters">Initial value of each parameter, by name.</param>
    /// <param name="options">Threads, kernels, device.</param>
    /// <exception cref="OrtCprException">A parameter is missing or has the wrong type or shape, an option is out of range, or the device is not there.</exception>
    public OptimizerDriver(OptimizerGraph graph, IReadOnlyDictionary<string, TensorData> parameters, DriverOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(graph);
        ArgumentNullException.ThrowIfNull(parameters);
        options ??= new DriverOptions();
        options.Validate();
        Graph = graph;
        Options = options;
        _scalars = new ScalarSchedules(graph);
        _indices = graph.Parameters.Select((p, i) => (p.Name, i)).ToDictionary(p => p.Name, p => p.i, StringComparer.Ordinal);
        _present = [.. Enumerable.Repeat(true, graph.Parameters.Count)];
        RefuseMisfits(parameters);
        _device = DeviceCatalog.Open(options.Device);
        _store = new TensorStore(_device);
        try
        {
            Allocate(parameters);
            _session = new GraphSession(graph.Model, "optimizer", options, _device);
            _binding = _session.Session.CreateIoBinding();
            Bind();
            Initialize();
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

    /// <summary>Steps that were skipped since a gradient was not finite. Counted on the device; reading it waits for the device.</summary>
    public long SkippedSteps => Graph.Options.NonFiniteGuard ? (long)_store.Number(OptimizerGraph.SkippedStepsState) : 0;

    /// <summary>Global L2 norm of the scaled gradients in the last step, before clipping; NaN without guard and clipping. Reading it waits for the device.</summary>
    public double GradientNorm => Graph.HasGradientNorm && Steps > 0 ? _store.Number(OptimizerGraph.GradientNormOutput) : double.NaN;

    /// <summary>Names of the parameters that are frozen at the moment, sorted.</summary>
    public IReadOnlyCollection<string> Frozen => _frozen;

    internal TensorStore Store => _store;

    internal Device Device => _device;

    internal ScalarSchedules Scalars => _scalars;

    /// <summary>Sets the base learning rate of a group; a schedule multiplies it.</summary>
    /// <param name="rate">At least 0.</param>
    /// <param name="group">Group index.</param>
    /// <exception cref="DriverException">The rate or the group is out of range.</exception>
    public void SetLearningRate(double rate, int group = 0) => _scalars.SetValue(OptimizerGraph.LearningRateInput, group, rate);

    /// <summary>The learning rate that the next step uses in a group.</summary>
    /// <exception cref="DriverException">There is no such group.</exception>
    public double GetLearningRate(int group = 0) => GetScalar(OptimizerGraph.LearningRateInput, group);

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
    public void SetSchedule(Schedule? schedule, int? group = null, string scalar = OptimizerGraph.LearningRateInput)
    {
        _scalars.SetSchedule(scalar, group, schedule);
        _scalars.ManualSteps = null;
    }

    /// <summary>Tells all schedules a metric; those that wait for a plateau learn from it.</summary>
    /// <param name="metric">A validation loss, say.</param>
    public void ReportMetric(double metric) => _scalars.Report(metric);

    /// <summary>A linear schedule for all groups that <see cref="SchedulerStep"/> advances, as ONNX Runtime's training session has it: up to
    /// <paramref name="initialRate"/> over the warm-up, then down to 0 at <paramref name="totalSteps"/>.</summary>
    /// <param name="warmupSteps">Steps of the warm-up, at least 0.</param>
    /// <param name="totalSteps">Steps until the end, warm-up included, at least 1.</param>
    /// <param name="initialRate">The rate behind the warm-up, at least 0.</param>
    /// <exception cref="OrtCprException">A number is out of range.</exception>
    public void RegisterLinearLRScheduler(long warmupSteps, long totalSteps, double initialRate)
    {
        SetSchedule(new LinearSchedule(totalSteps, warmupSteps));
        for (int g = 0; g < _scalars.GroupCount; g++) SetLearningRate(initialRate, g);
        _scalars.ManualSteps = Steps;
    }

    /// <summary>Advances the schedule of <see cref="RegisterLinearLRScheduler"/> by one step.</summary>
    /// <exception cref="DriverException">None is registered; schedules set by <see cref="SetSchedule"/> follow the optimizer's own steps.</exception>
    public void SchedulerStep() => _scalars.ManualSteps = 1 + (_scalars.ManualSteps
        ?? throw new DriverException("No scheduler is registered. Call RegisterLinearLRScheduler first; schedules set by SetSchedule advance with each OptimizerStep."));

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

    /// <summary>Marks which parameters have a gradient in the next steps; all have at the start. One without keeps its value and all of its state.</summary>
    /// <exception cref="DriverException">There is no such parameter.</exception>
    public void SetGradientPresent(string parameter, bool present)
    {
        if (!_indices.TryGetValue(parameter, out int index)) throw new DriverException($"No parameter '{parameter}'. Parameters: {string.Join(", ", Graph.Parameters.Take(20).Select(p => p.Name))}.");
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
            for (int g = 0; g < _scalars.GroupCount; g++) WriteInput(scalar, g, _scalars.At(scalar, g, Steps));
        }
        WriteInput(OptimizerGraph.GradientScaleInput, 0, gradientScale);
        _store.Flush();
        _session.Run(_binding);
        Steps++;
        return !_device.IsHost || _store.Number(OptimizerGraph.StepAppliedOutput) != 0;
    }

    /// <summary>λ, κ and what the detector knows, a row a constrained parameter. Waits for the device.</summary>
    public IReadOnlyList<ConstraintInfo> GetConstraints()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (Graph.Constrained.Count == 0) return [];
        double[] lambda = _store.Read("cpr.lambda").ToDoubles(), kappa = _store.Read("cpr.kappa").ToDoubles(), detector = _store.Read("cpr.detector").ToDoubles();
        // The last column of the detector: 0 not set, 1 set, 2 set and λ has been above 0.
        return [.. Graph.Constrained.Select((name, i) => new ConstraintInfo(name, lambda[i], detector[(4 * i) + 3] > 0 ? kappa[i] : double.NaN,
            detector[(4 * i) + 3] > 0, detector[(4 * i) + 3] > 1, (long)detector[4 * i]))];
    }

    /// <summary>λ, κ and R as they are, a row a constrained parameter. Reads each of them; waits for the device.</summary>
    public IReadOnlyList<ConstraintMeasure> MeasureConstraints() => [.. GetConstraints().Select(c =>
    {
        Regularizer regularizer = Graph.Options.Groups[Graph.Parameters[_indices[c.Name]].Group].Constraint!.Regularizer;
        TensorData value = Get(c.Name);
        double measure = value.Type == ElementType.Float ? regularizer.Measure(value.AsSpan<float>()) : regularizer.Measure<double>(value.ToDoubles());
        return new ConstraintMeasure(c.Name, c.Lambda, c.Kappa, measure, c.IsSet);
    })];

    /// <summary>Sets every bound that is not set yet to R of its matrix as it is now, as a warm start does after its step.</summary>
    /// <param name="which">Of the matrices under these constraints.</param>
    internal void SetMissingBounds(Predicate<ConstrainNorm> which)
    {
        double[] kappa = _store.Read("cpr.kappa").ToDoubles(), detector = _store.Read("cpr.detector").ToDoubles();
        IReadOnlyList<ConstraintMeasure> rows = MeasureConstraints();
        for (int i = 0; i < rows.Count; i++)
        {
            if (rows[i].IsSet || !which(Graph.Options.Groups[Graph.Parameters[_indices[rows[i].Name]].Group].Constraint!)) continue;
            (kappa[i], detector[(4 * i) + 3]) = (rows[i].Measure, 1);
        }
        Write("cpr.kappa", kappa, rows.Count);
        Write("cpr.detector", detector, rows.Count, 4);

        void Write(string name, double[] values, params long[] dimensions) =>
            _store.Write(name, TensorData.From<double>(values, dimensions).ConvertTo(Graph.Type));
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
        _device.Dispose();
    }

    // Replaces the set of frozen parameters; names that are no parameters are left out.
    internal void SetFrozen(IEnumerable<string> names)
    {
        _frozen.Clear();
        _frozen.UnionWith(names.Where(_indices.ContainsKey));
        for (int i = 0; i < _present.Length; i++) UpdatePresence(i);
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
            if (s.Pending != s.Name) _store.Allocate(s.Pending, s.Type, s.Dimensions);
        }
        foreach ((string name, IReadOnlyList<double> values) in Graph.Schedulable) _store.AllocateInput(name, Graph.Type, [values.Count]);
        _store.AllocateInput(OptimizerGraph.GradientScaleInput, Graph.Type, []);
        _store.AllocateInput(OptimizerGraph.GradientPresentInput, ElementType.Bool, [Graph.Parameters.Count]);
        for (int i = 0; i < _present.Length; i++) UpdatePresence(i);
        _store.Allocate(OptimizerGraph.StepAppliedOutput, ElementType.Bool, [1]);
        if (Graph.HasGradientNorm) _store.Allocate(OptimizerGraph.GradientNormOutput, Graph.Type, [1]);
    }

    // State is bound as input and output to one buffer: updated in place.
    private void Bind()
    {
        foreach (string input in _session.Session.InputNames) _session.BindStored(_binding, input, input, _store);
        foreach (string output in _session.Session.OutputNames)
        {
            string state = output.EndsWith(".updated", StringComparison.Ordinal) && _store.Contains(output[..^".updated".Length]) ? output[..^".updated".Length] : output;
            _binding.BindOutput(output, _store[state]);
        }
    }

    // Runs the optimizer's start-up graph once, where it has one.
    private void Initialize()
    {
        if (!Graph.HasInitialization) return;
        using var session = new GraphSession(Graph.Initialization!, "optimizer_initialization", Options, _device);
        using OrtIoBinding binding = session.Session.CreateIoBinding();
        foreach (string input in session.Session.InputNames) session.BindStored(binding, input, input, _store);
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

    private List<string> Matching(IReadOnlyList<NamePattern> patterns)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        string[] idle = [.. patterns.Where(p => !Graph.Parameters.Any(q => p.Matches(q.Name))).Select(p => $"'{p}'")];
        if (idle.Length > 0) throw new DriverException($"{string.Join(", ", idle)} fit no trained parameter. Parameters: {string.Join(", ", Graph.Parameters.Take(20).Select(p => p.Name))}{(Graph.Parameters.Count > 20 ? ", …" : "")}.");
        return [.. Graph.Parameters.Select(p => p.Name).Where(n => patterns.Any(p => p.Matches(n)))];
    }

    private bool Mark(string name, bool changed)
    {
        UpdatePresence(_indices[name]);
        return changed;
    }

    private void UpdatePresence(int index) =>
        _store.SetInput(OptimizerGraph.GradientPresentInput, index, _present[index] && !_frozen.Contains(Graph.Parameters[index].Name));

    private void CheckName(string name)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (!_store.Contains(name)) throw new DriverException($"No tensor '{name}'. There are: {string.Join(", ", _store.Names.Order(StringComparer.Ordinal).Take(30))}{(_store.Names.Count > 30 ? ", …" : "")}.");
    }

    private void WriteInput(string name, int index, double value)
    {
        if (Graph.Type == ElementType.Double) _store.SetInput(name, index, value);
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
