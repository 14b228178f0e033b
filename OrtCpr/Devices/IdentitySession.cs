using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Devices;

/// <summary>Copies tensors of one type, in either direction, by binding them to the two ends of an Identity. Owns its
/// session.</summary>
internal sealed class IdentitySession : IDisposable
{
    private readonly SessionOptions _options = new() { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL, IntraOpNumThreads = 1 };
    private readonly RunOptions _run = new();

    public IdentitySession(ElementType type, Action<SessionOptions> configure)
    {
        try
        {
            configure(_options);
            OnnxModel model = OnnxModel.Create("copy", 18);
            var g = new GraphBuilder(model.Graph);
            Value x = model.Graph.AddInput("x", type, null);
            model.Graph.Outputs.Add(g.Named(GraphBuilder.Typed(g.Identity(x), type, null), "y"));
            Session = new InferenceSession(GraphWriter.ToBytes(model), _options);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public InferenceSession Session { get; } = null!;

    public void Copy(OrtValue from, OrtValue to)
    {
        using OrtIoBinding binding = Session.CreateIoBinding();
        binding.BindInput("x", from);
        binding.BindOutput("y", to);
        Session.RunWithBinding(_run, binding);
        binding.SynchronizeBoundOutputs();
    }

    public void Dispose()
    {
        Session?.Dispose();
        _run.Dispose();
        _options.Dispose();
    }
}
