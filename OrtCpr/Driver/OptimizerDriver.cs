using Microsoft.ML.OnnxRuntime;
using OrtCpr.Buffers;
using OrtCpr.Collectives;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;
using OrtCpr.Schedules;
using OrtCpr.Sessions;

namespace OrtCpr;

/// <summary>Steps an optimizer graph over parameters and state that live in place: one ONNX Runtime run a step, nothing
/// allocated.</summary>
/// <remarks>Owns the parameters, gradients and state. Used by <see cref="TrainingDriver"/>, and by itself where
/// gradients come from elsewhere. Not thread-safe: one call at a time, from any thread. Several drivers share nothing
/// and may run at once.</remarks>
public sealed partial class OptimizerDriver : IDisposable
{
    private readonly Device _device;
    private readonly TensorStore _store = null!;
    private readonly GraphSession _session = null!;
    private readonly OrtIoBinding _binding = null!;
    private readonly Dictionary<string, int> _indices;
    private bool _disposed;

    /// <summary>Creates the session and the state.</summary>
    /// <param name="plan">The job; of its graphs only the optimizer's is run.</param>
    /// <param name="parameters">Initial value of each parameter, by name.</param>
    /// <param name="options">Threads, kernels, device.</param>
    /// <exception cref="OrtCprException">A parameter is missing or has the wrong type or shape, an option is out of
    /// range, or the device is not there.</exception>
    public OptimizerDriver(TrainingPlan plan, IReadOnlyDictionary<string, TensorData> parameters, DriverOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(parameters);
        options ??= new DriverOptions();
        options.Validate();
        Plan = plan;
        Options = options;
        Steps = plan.InitialSteps;
        _scalars = new ScalarSchedules(plan);
        _indices = plan.Trained.Select((p, i) => (p.Name, i)).ToDictionary(p => p.Name, p => p.i, StringComparer.Ordinal);
        _present = [.. Enumerable.Repeat(true, plan.Trained.Count)];
        RefuseMisfits(parameters);
        _device = options.Open();
        try
        {
            Ranks = new Ranks(options.Collective, _device);
            if (Ranks.AreMany) _device.SumOverRanks = Ranks.SumFloats;
            if (options.ShardOptimizerState && Ranks.AreMany) Shard = new StateShard(Ranks, plan);
            _store = new TensorStore(_device, KeptPlan);
            foreach (ParameterSpec p in plan.Trained) _store.Write(p.Name, parameters[p.Name]);
            for (int i = 0; i < _present.Length; i++) UpdatePresence(i);
            JoinedOptimizer? joined = JoinedGraph();
            _session = new GraphSession(joined?.Model ?? KeptPlan.OptimizerModel, "optimizer", options, _device, name =>
                DefinitionOf(name, joined));
            _binding = _session.Session.CreateIoBinding();
            _session.Bind(_binding, PlanGraph.Optimizer, KeptPlan, _store);
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
    public long SkippedSteps =>
        Plan.Find(TensorRole.Shared, null, OptimizerGraphBuilder.SkippedSteps) is TensorSlot slot ? (long)_store.Number(slot.Key) : 0;

    /// <summary>By what the loss is multiplied before gradients are computed, in <see cref="Precision.Float16"/>; 1 in other precisions.
    /// Gradients and norms that are read here are unscaled. Kept on the device; reading it waits for the device.</summary>
    public double LossScale => Plan.Find(TensorRole.Shared, null, OptimizerGraphBuilder.LossScale) is TensorSlot slot
        ? _store.Number(slot.Key) : 1;

    /// <summary>Global L2 norm of the scaled gradients in the last step, before clipping; NaN without guard and
    /// clipping. Reading it waits for the device.</summary>
    public double GradientNorm => Steps > 0 && Plan.Find(TensorRole.GradientNorm) is TensorSlot slot ? _store.Number(slot.Key) : double.NaN;

    internal TensorStore Store => _store;

    internal Device Device => _device;

    /// <summary>Those that train the same.</summary>
    internal Ranks Ranks { get; } = null!;

    /// <summary>The part of the state that is kept here; null where all of it is.</summary>
    internal StateShard? Shard { get; }

    private TrainingPlan KeptPlan => Shard?.Plan ?? Plan;

    /// <summary>How operators of ours run in the optimizer's graph.</summary>
    internal IReadOnlyList<KernelReport> KernelReport => [.. _session.ReportKernels("optimizer")];

    /// <summary>A copy of a parameter, state tensor (<c>p.exp_avg</c>, <c>step</c>, <c>cpr.lambda</c> …) or gradient
    /// (<c>p_grad</c>); of a tensor of the model that is not trained its value in the model's file.</summary>
    /// <param name="name">Case counts.</param>
    /// <exception cref="DriverException">There is none of that name.</exception>
    public TensorData Get(string name)
    {
        if (!_store.Contains(name) && Untrained(name) is not null && Plan.Source.Places.Find(name) is FilePlace place)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return place.Read(Plan.Source);
        }
        CheckName(name);
        return TimesLossScale(name, _store.Read(name), inverse: true);
    }

    /// <summary>Overwrites a parameter, state tensor or gradient in place.</summary>
    /// <param name="name">As for <see cref="Get"/>, but one that is trained or kept.</param>
    /// <param name="value">Type and shape of the tensor; copied.</param>
    /// <exception cref="DriverException">There is none of that name, or type or shape differ.</exception>
    public void Set(string name, TensorData value)
    {
        ArgumentNullException.ThrowIfNull(value);
        CheckName(name);
        _store.Write(name, TimesLossScale(name, value, inverse: false));
    }

    /// <summary>Overwrites the gradient of a parameter, where gradients come from elsewhere.</summary>
    /// <param name="parameter">The parameter.</param>
    /// <param name="gradient">Type and shape of the parameter.</param>
    /// <exception cref="DriverException">There is no such parameter, or type or shape differ.</exception>
    public void SetGradient(string parameter, TensorData gradient) => Set(GradientKey(parameter), gradient);

    /// <summary>A copy of the gradient of a parameter.</summary>
    /// <param name="parameter">One that is trained.</param>
    /// <returns>Type and shape of the parameter; the sum of the batches since the last reset.</returns>
    /// <exception cref="DriverException">There is no such parameter.</exception>
    public TensorData GetGradient(string parameter) => Get(GradientKey(parameter));

    /// <summary>One step from the gradients in place.</summary>
    /// <param name="gradientScale">Multiplies every gradient before anything else: 1/A for the mean of A accumulated
    /// micro-batches. Default 1.</param>
    /// <returns>On the CPU false when a gradient was not finite and the guard skipped the step; nothing has changed
    /// then. On other devices always true, since the answer would cost a wait each step: <see cref="SkippedSteps"/> has
    /// the count when it is asked for.</returns>
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
        Shard?.Exchange(_store);
        Steps++;
        return !_device.IsHost || _store.Number(Plan.Find(TensorRole.StepApplied)!.Key) != 0;
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

    /// <summary>Running statistics as the last applied step left them.</summary>
    internal void RestorePendingStatistics()
    {
        foreach (TensorSlot pending in Plan.Slots.Where(s => s.Role == TensorRole.PendingStatistic))
            _store.Write(pending.Key, _store.Read(pending.Owner!));
    }

    /// <summary>Gradients lie in their buffers with the factor that their loss had; to the user they are gradients of the
    /// loss.</summary>
    private TensorData TimesLossScale(string name, TensorData value, bool inverse)
    {
        if (Plan.Find(TensorRole.GradientLossScale) is not TensorSlot slot || Plan.Find(name)?.Role != TensorRole.Gradient
            || value.Type != Plan.Type)
        {
            return value;
        }
        double factor = inverse ? 1 / _store.Number(slot.Key) : _store.Number(slot.Key);
        double[] scaled = [.. value.ToDoubles().Select(v => v * factor)];
        return TensorData.From<double>(scaled, [.. value.Dimensions]).ConvertTo(value.Type);
    }

    private string GradientKey(string parameter) => Plan.Find(TensorRole.Gradient, parameter)?.Key ?? throw NoParameter(parameter);

    private ParameterInfo? Untrained(string name) => Plan.Parameters.All.FirstOrDefault(p => p.Name == name && !p.Trained);

    /// <summary>What to say of a tensor of the model that this job does not train; null where it has none of the name.</summary>
    private DriverException? IsNotTrained(string name) => Untrained(name) is not ParameterInfo known ? null
        : new($"'{name}' is a tensor of the model that this job does not train ({known.Reason}), so it has no gradient and no state, and "
            + $"cannot be set. Build the job anew with {nameof(ParameterOptions)}.{nameof(ParameterOptions.Train)} naming it, or without "
            + $"the pattern of {nameof(ParameterOptions.Freeze)} that names it; on the command line without that --freeze.");

    private DriverException NoParameter(string name) => IsNotTrained(name) ??
        new(
            $"No parameter '{name}'. Parameters: "
            + $"{string.Join(", ", Plan.Trained.Take(20).Select(p => p.Name))}{(Plan.Trained.Count > 20 ? ", …" : "")}.");

    /// <summary>Update nodes over flat memory where there are kernels for them; else the graph with a node a
    /// parameter.</summary>
    private JoinedOptimizer? JoinedGraph() => Options.Kernels && _device.HasKernels && _store.Layout is FlatLayout layout
        ? JoinUpdates.Run(KeptPlan, layout, d => _device.FindKernel(d) is not null) : null;

    private OperatorDefinition? DefinitionOf(string name, JoinedOptimizer? joined) =>
        joined?.Operators.FirstOrDefault(o => o.Name == name) ?? Plan.Operators.GetValueOrDefault(name);

    /// <summary>Runs the optimizer's start-up graph once, where it has one.</summary>
    private void Initialize()
    {
        if (Plan.InitializationModel is null) return;
        using var session = new GraphSession(Plan.InitializationModel, "optimizer_initialization", Options, _device);
        using OrtIoBinding binding = session.Session.CreateIoBinding();
        session.Bind(binding, PlanGraph.Initialization, KeptPlan, _store);
        session.Run(binding);
    }

    private void RefuseMisfits(IReadOnlyDictionary<string, TensorData> parameters)
    {
        var problems = new List<string>();
        foreach (ParameterSpec p in Plan.Trained)
        {
            if (!parameters.TryGetValue(p.Name, out TensorData? data)) problems.Add($"'{p.Name}' is missing");
            else if (data.Type != p.Type || !data.Dimensions.SequenceEqual(p.Dimensions))
                problems.Add($"'{p.Name}': expected {p.Type}[{string.Join(',', p.Dimensions)}], found {data}");
        }
        if (problems.Count > 0) throw new DriverException($"Initial parameters do not fit the optimizer: {string.Join("; ", problems)}.");
    }

    private void CheckName(string name)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (!_store.Contains(name))
        {
            if (Shard is not null && Plan.Find(name)?.Owner is string owner)
            {
                throw new DriverException($"'{name}' is kept by rank {Shard.OwnerOf(owner)} of {Ranks.Size}, since the state is sharded "
                    + $"({nameof(DriverOptions)}.{nameof(DriverOptions.ShardOptimizerState)}). A checkpoint has all of it.");
            }
            throw IsNotTrained(name) ?? new DriverException(
                $"No tensor '{name}'. There are: "
                + $"{string.Join(", ", _store.Names.Order(StringComparer.Ordinal).Take(30))}{(_store.Names.Count > 30 ? ", …" : "")}.");
        }
    }

    private void WriteInput(string name, int index, double value)
    {
        if (Plan.Type == ElementType.Double) _store.SetInput(name, index, value);
        else _store.SetInput(name, index, (float)value);
    }
}
