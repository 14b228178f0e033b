using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Sessions;

/// <summary>The sessions of one graph that is fed with batches: a single one where sizes may change from run to run,
/// else one for each size that has come up. Owns sessions and bindings. The least recently used one makes room when
/// there are too many.</summary>
internal sealed class BatchSessions : IDisposable
{
    private const int Capacity = 8;

    private readonly OnnxModel _model;
    private readonly string _name;
    private readonly DriverOptions _options;
    private readonly Device _device;
    private readonly Action<GraphSession, OrtIoBinding>? _bind;
    private readonly Precision _precision;
    private readonly LinkedList<Entry> _entries = new();

    /// <summary><c>bind</c> binds everything but the batch, once a session; null where the caller runs without a
    /// binding. <c>precision</c>: of a graph that trains.</summary>
    public BatchSessions(OnnxModel model, string name, DriverOptions options, Device device, Action<GraphSession, OrtIoBinding>? bind,
        Precision precision = Precision.Float32)
    {
        _model = model;
        _name = name;
        _options = options;
        _device = device;
        _bind = bind;
        _precision = precision;
        // Made at once where no batch is needed for it, so that a graph that does not run is refused early.
        if (!IsStatic) _entries.AddFirst(Create("", null));
    }

    private bool IsStatic => _device.Capabilities.StaticShapes;

    /// <summary>The session for a batch of these sizes.</summary>
    public Entry For(Batch batch)
    {
        if (!IsStatic) return _entries.First!.Value;
        Dictionary<string, long[]> shapes =
            batch.Tensors.ToDictionary(t => t.Key, t => t.Value.GetTensorTypeAndShape().Shape, StringComparer.Ordinal);
        string key = string.Join(';', shapes.OrderBy(s => s.Key, StringComparer.Ordinal).Select(s => string.Join(',', s.Value)));
        for (LinkedListNode<Entry>? at = _entries.First; at is not null; at = at.Next)
        {
            if (at.Value.Key != key) continue;
            _entries.Remove(at);
            _entries.AddFirst(at);
            return at.Value;
        }
        if (_entries.Count == Capacity)
        {
            _entries.Last!.Value.Dispose();
            _entries.RemoveLast();
        }
        _entries.AddFirst(Create(key, shapes));
        return _entries.First!.Value;
    }

    /// <summary>Runs without a binding, for a graph that has all of its inputs in the batch.</summary>
    /// <param name="batch">The inputs.</param>
    /// <param name="outputs">What to compute.</param>
    /// <param name="what">The graph, for messages.</param>
    /// <returns>The outputs, the caller's.</returns>
    /// <exception cref="DriverException">An input is missing, or ONNX Runtime stopped.</exception>
    public IDisposableReadOnlyCollection<OrtValue> Run(Batch batch, string[] outputs, string what)
    {
        GraphSession session = For(batch).Session;
        string[] inputs = [.. session.Session.InputNames];
        string[] missing = [.. inputs.Where(i => !batch.Tensors.ContainsKey(i)).Select(i => $"'{i}'")];
        if (missing.Length > 0) throw new DriverException($"The batch lacks inputs of the {what} model: {string.Join(", ", missing)}.");
        try
        {
            return session.Session.Run(session.RunOptions, inputs, [.. inputs.Select(i => batch.Tensors[i])], outputs);
        }
        catch (OnnxRuntimeException error)
        {
            throw new DriverException($"ONNX Runtime stopped in the {what} graph: {error.Message}", error);
        }
    }

    /// <summary>How operators of ours run in the session that was used last; empty where none has been made yet.</summary>
    public IEnumerable<KernelReport> ReportKernels() => _entries.First?.Value.Session.ReportKernels(_name) ?? [];

    public void Dispose()
    {
        foreach (Entry entry in _entries) entry.Dispose();
        _entries.Clear();
    }

    private Entry Create(string key, IReadOnlyDictionary<string, long[]>? shapes)
    {
        var session =
            new GraphSession(_model, key.Length == 0 ? _name
                : $"{_name}_{key.Replace(';', '_').Replace(',', 'x')}", _options, _device, shapes: shapes, precision: _precision);
        OrtIoBinding? binding = null;
        try
        {
            if (_bind is not null)
            {
                binding = session.Session.CreateIoBinding();
                _bind(session, binding);
            }
            return new Entry(key, session, binding);
        }
        catch
        {
            binding?.Dispose();
            session.Dispose();
            throw;
        }
    }

    /// <summary>A session and what is bound to it.</summary>
    public sealed record Entry(string Key, GraphSession Session, OrtIoBinding? Binding) : IDisposable
    {
        public void Dispose()
        {
            Binding?.Dispose();
            Session.Dispose();
        }
    }
}
