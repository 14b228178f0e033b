using Microsoft.ML.OnnxRuntime;
using OrtCpr.CustomOps;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Sessions;

// One ONNX Runtime session over one of our graphs, with the kernels that it may use. Owns the session, its options and the kernels' domain.
internal sealed class GraphSession : IDisposable
{
    private readonly SessionOptions _options;
    private readonly CustomOpDomain? _kernels;
    private readonly RunOptions _run = new();

    public GraphSession(OnnxModel model, string name, DriverOptions options)
    {
        byte[] bytes = GraphWriter.ToBytes(model);
        if (options.KeepGraphs is not null)
        {
            Directory.CreateDirectory(options.KeepGraphs);
            File.WriteAllBytes(Path.Combine(options.KeepGraphs, $"{name}.onnx"), bytes);
        }
        _options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL, IntraOpNumThreads = options.Threads };
        try
        {
            // Several sessions take turns on the same cores: workers of one that still spin for work would hold up the next.
            _options.AddSessionConfigEntry("session.force_spinning_stop", "1");
            string[] kernels = options.Kernels ? [.. KernelsFor(model)] : [];
            if (kernels.Length > 0)
            {
                _kernels = new CustomOpDomain(kernels);
                _kernels.AddTo(_options);
            }
            Session = new InferenceSession(bytes, _options);
            Inputs = Session.InputNames.ToHashSet(StringComparer.Ordinal);
        }
        catch (OnnxRuntimeException error)
        {
            Dispose();
            throw new DriverException($"ONNX Runtime does not accept the {name} graph: {error.Message}. Some operator may lack a kernel for these types on '{options.Device}'.", error);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public InferenceSession Session { get; } = null!;

    public IReadOnlySet<string> Inputs { get; } = new HashSet<string>();

    public RunOptions RunOptions => _run;

    public void Run(OrtIoBinding binding) => Session.RunWithBinding(_run, binding);

    public void Dispose()
    {
        Session?.Dispose();
        _run.Dispose();
        _options.Dispose();
        _kernels?.Dispose();
    }

    // A registered kernel hides the body for every type, so only names whose every call is float32.
    private static IEnumerable<string> KernelsFor(OnnxModel model) => model.Graph.Nodes
        .Where(n => n.Domain == CustomOpDomain.Name && KernelCatalog.Supports(n.OpType))
        .GroupBy(n => n.OpType)
        .Where(calls => calls.All(n => n.Inputs[0]!.Type == ElementType.Float))
        .Select(calls => calls.Key);
}
