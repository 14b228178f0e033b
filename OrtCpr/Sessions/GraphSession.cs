using Microsoft.ML.OnnxRuntime;
using OrtCpr.Buffers;
using OrtCpr.CustomOps;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Files;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Sessions;

/// <summary>One ONNX Runtime session over one of our graphs, on one device, with the kernels that it may use. Owns the
/// session, its options and the kernels' domain.</summary>
internal sealed class GraphSession : IDisposable
{
    private readonly SessionOptions _options;
    private readonly CustomOpDomain? _kernels;
    private readonly Device _device;
    /// <summary>Buffers of the host that belong to a run are given back by one that is waited for; a run now and then bounds what they
    /// take.</summary>
    private const int RunsUntilWait = 64;

    private readonly RunOptions _run = new(), _bound = new();
    private readonly HashSet<string> _onHost = new(StringComparer.Ordinal);
    private readonly bool _synchronizes, _waits;
    private readonly IDisposable? _pinned;
    private int _runs;

    /// <summary><c>operators</c>: definitions of operators of ours by name; null for those of training graphs.
    /// <c>shapes</c>: sizes of the batch's inputs, for a device that wants them fixed. <c>precision</c>: of a graph that
    /// trains.</summary>
    public GraphSession(
        OnnxModel model, string name, DriverOptions options, Device device, Func<string, OperatorDefinition?>? operators = null,
        IReadOnlyDictionary<string, long[]>? shapes = null, Precision precision = Precision.Float32)
    {
        _device = device;
        // The wait is left to who reads.
        _bound.AddRunConfigEntry("disable_synchronize_execution_providers", device.RunsInOrder ? "1" : "0");
        bool checksPlacement = !device.IsHost && !options.AllowCpuFallback;
        string? off = !options.Kernels ? $"{nameof(DriverOptions)}.{nameof(DriverOptions.Kernels)} is off"
            : device.HasKernels ? null : $"'{device.Name}' has none";
        operators ??= OperatorTable.Find;
        if (precision.LowType() is ElementType low) model = Lowered(model, low, device, off is null ? operators : null);
        (Kernels, IReadOnlyList<OperatorKernel> kernels) = KernelUse.Of(model, operators, device.FindKernel, off);
        if (device.AdaptsGraphs)
        {
            OperatorKernel? sums = off is null ? device.FindKernel(OuterSum.Definition) : null;
            var names = kernels.Append(sums).OfType<OperatorKernel>().Select(k => k.Name).ToHashSet(StringComparer.Ordinal);
            model = AdaptToDevice.Run(model, device.Capabilities, shapes, names);
            int calls = model.Graph.NodesAndInner().Count(n => n.Domain == OperatorDefinition.Domain && n.OpType == sums?.Name);
            if (calls > 0 && kernels.All(k => k.Name != sums!.Name))
                (Kernels, kernels) = ([.. Kernels, new KernelUse(sums!.Name, calls, null)], [.. kernels, sums]);
        }
        if (checksPlacement) PlacedNodes.NameAll(model);
        byte[] bytes = GraphWriter.ToBytes(model);
        if (options.KeepGraphs is not null)
        {
            FileGuard.Write(options.KeepGraphs, () => Directory.CreateDirectory(options.KeepGraphs));
            string path = Path.Combine(options.KeepGraphs, $"{name}.onnx");
            FileGuard.Write(path, () => File.WriteAllBytes(path, bytes));
        }
        _options = NewOptions(options);
        try
        {
            if (options.Profiles is not null)
            {
                FileGuard.Write(options.Profiles, () => Directory.CreateDirectory(options.Profiles));
                _options.ProfileOutputPathPrefix = Path.Combine(options.Profiles, name);
                _options.EnableProfiling = true;
            }
            // Several sessions take turns on the same cores: workers of one that still spin for work would hold up the next.
            _options.AddSessionConfigEntry("session.force_spinning_stop", "1");
            if (kernels.Count > 0)
            {
                _kernels = new CustomOpDomain(kernels);
                _kernels.AddTo(_options);
            }
            device.Configure(_options, precision);
            if (checksPlacement) PlacedNodes.Record(_options);
            // Owned at once: a session whose placement cannot be read or is refused is disposed with this object.
            Session = new InferenceSession(bytes, _options);
            _pinned = device.KeepHostMemory(Session);
            if (checksPlacement) RefuseNodesOnCpu(model, name, device);
            _waits = !checksPlacement || PlacedNodes.CopyToTheDevice(Session, model);
            Inputs = Session.InputNames.ToHashSet(StringComparer.Ordinal);
            if (!device.IsHost) FindInputsOnHost(model.Graph);
        }
        catch (OnnxRuntimeException error)
        {
            Dispose();
            throw Refused(name, device, error);
        }
        catch
        {
            Dispose();
            throw;
        }
        _synchronizes = !device.IsHost && !device.RunsInOrder;
    }

    public InferenceSession Session { get; } = null!;

    public IReadOnlySet<string> Inputs { get; } = new HashSet<string>();

    /// <summary>For a run whose results the caller reads: it waits for them.</summary>
    public RunOptions RunOptions => _run;

    /// <summary>Which operators of ours run as kernels, and why the others do not.</summary>
    public IReadOnlyList<KernelUse> Kernels { get; } = [];

    /// <summary>The same, for a report on several graphs.</summary>
    /// <param name="graph">What this graph is called there.</param>
    public IEnumerable<KernelReport> ReportKernels(string graph) =>
        Kernels.Select(k => new KernelReport(graph, k.Operator, k.Calls, k.BodyReason));

    /// <summary>Runs with what is bound. Where the device runs in order, it may still be at work on return.</summary>
    public void Run(OrtIoBinding binding)
    {
        Session.RunWithBinding(_waits || ++_runs % RunsUntilWait == 0 ? _run : _bound, binding);
        if (_synchronizes) binding.SynchronizeBoundOutputs();
    }

    /// <summary>Whether an input is read on the host, although the session runs elsewhere.</summary>
    public bool ReadsOnHost(string input) => _onHost.Contains(input);

    /// <summary>Binds a tensor of the store to an input, on the side where the session wants it: ONNX Runtime copies a
    /// tensor of the other side once, when it is bound, and would never see a later change.</summary>
    public void BindStored(OrtIoBinding binding, string input, string stored, TensorStore store)
    {
        if (!_onHost.Contains(input) || store.Device.IsHost)
        {
            binding.BindInput(input, store[stored]);
            return;
        }
        if (!store.IsInput(stored))
        {
            throw new DeviceException(
                $"The session keeps state '{stored}' on the CPU although it runs on '{store.Device.Name}': "
                + "an operator that reads it has no kernel there. Use 'cpu', or another version of the provider.");
        }
        binding.BindInput(input, store.HostSide(stored));
    }

    /// <summary>Binds every tensor of a plan that this graph reads or writes; state is bound as input and output to one
    /// buffer, and so updated in place. What the plan has no tensor for is left: the batch, and outputs for the
    /// caller.</summary>
    public void Bind(OrtIoBinding binding, PlanGraph graph, TrainingPlan plan, TensorStore store)
    {
        HashSet<string> outputs = [.. Session.OutputNames];
        foreach (TensorSlot slot in plan.Slots)
        {
            foreach (TensorUse use in slot.Uses.Where(u => u.Graph == graph))
            {
                if (use.Input is not null && Inputs.Contains(use.Input)) BindStored(binding, use.Input, slot.Key, store);
                if (use.Output is not null && outputs.Contains(use.Output)) binding.BindOutput(use.Output, store[slot.Key]);
            }
        }
    }

    /// <summary>Binds flat buffers of a joined optimizer graph, in place.</summary>
    public void Bind(OrtIoBinding binding, IEnumerable<FlatUse> uses, TensorStore store)
    {
        foreach (FlatUse use in uses)
        {
            OrtValue flat = store.Segment(use.Segment, use.Role, use.Kind);
            if (Inputs.Contains(use.Input)) binding.BindInput(use.Input, flat);
            if (use.Output is not null) binding.BindOutput(use.Output, flat);
        }
    }

    public void Dispose()
    {
        if (Session is not null) _device.Wait();
        Session?.Dispose();
        // What the session still had of buffers is freed by a callback on the device's stream, which must not be the last to
        // hold their allocator: CUDA forbids it to free memory (error 800 ends the process).
        if (Session is not null) _device.Wait();
        _pinned?.Dispose();
        _run.Dispose();
        _bound.Dispose();
        _options.Dispose();
        _kernels?.Dispose();
    }

    /// <summary>A graph in mixed precision. Kernels of ours are for float32, so their calls stay in it; what else the CPU lacks is widened
    /// here, what another device lacks when the graph is adapted to it. <c>operators</c>: null where no kernels are used.</summary>
    private static OnnxModel Lowered(OnnxModel model, ElementType low, Device device, Func<string, OperatorDefinition?>? operators)
    {
        model = LowerPrecision.Run(model, low);
        if (device.IsHost)
        {
            WidenMissing.Run(model, device.Capabilities);
        }
        else if (operators is not null)
        {
            WidenMissing.Run(model, (node, _) => node.Domain != OperatorDefinition.Domain
                || operators(node.OpType) is not OperatorDefinition own || device.FindKernel(own) is null);
        }
        return model;
    }

    /// <summary>A node that silently ran on the CPU would copy its tensors back and forth in each step. ONNX Runtime
    /// can refuse such a graph itself, but names no node, and counts shape arithmetic that a provider left to the CPU
    /// on purpose.</summary>
    private void RefuseNodesOnCpu(OnnxModel model, string name, Device device)
    {
        IReadOnlyList<string> left = PlacedNodes.OnCpu(Session, model, device.Capabilities.HostShapes);
        if (left.Count == 0) return;
        throw new DeviceException($"The {name} graph does not run on '{device.Name}' as a whole: these nodes have no kernel there: "
            + $"{string.Join(", ", left.Take(10))}{(left.Count > 10 ? $" and {left.Count - 10} more" : "")}. "
            + $"Set {nameof(DriverOptions)}.{nameof(DriverOptions.AllowCpuFallback)} to run them on the CPU, with copies in each step, or "
            + "use 'cpu'.");
    }

    /// <summary>A memory pattern is a second buffer of the peak's size, made in the second run beside the arena's of
    /// the first: a third more memory in all.</summary>
    private static SessionOptions NewOptions(DriverOptions options) =>
        new()
        {
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL,
            IntraOpNumThreads = options.Threads,
            EnableMemoryPattern = false
        };

    /// <summary>An input that nothing reads has no side.</summary>
    private void FindInputsOnHost(OnnxGraph graph)
    {
        var read = graph.Readers().Keys.Concat(graph.Outputs).Select(v => v.Name).ToHashSet(StringComparer.Ordinal);
        IReadOnlyList<string> names = Session.InputNames;
        using IDisposableReadOnlyCollection<OrtMemoryInfo> places = Session.GetMemoryInfosForInputs();
        for (int i = 0; i < names.Count; i++)
        {
            if (places[i].GetDeviceType() == OrtMemoryInfoDeviceType.CPU && read.Contains(names[i])) _onHost.Add(names[i]);
        }
    }

    private static OrtCprException Refused(string name, Device device, OnnxRuntimeException error) => device.IsHost
        ? new DriverException(
            $"ONNX Runtime does not accept the {name} graph: {error.Message}. "
            + $"Some operator may lack a kernel for these types on '{device.Name}'.", error)
        : new DeviceException(
            $"ONNX Runtime does not accept the {name} graph on '{device.Name}': {error.Message}. "
            + "Use 'cpu', or another version of the provider.", error);
}
