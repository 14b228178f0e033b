using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.OrtTraining;

// Values that belong together and are disposed of together.
internal sealed class OrtValues(IEnumerable<OrtValue> values) : List<OrtValue>(values), IDisposableReadOnlyCollection<OrtValue>
{
    // The same memory under another handle: a binding takes fixed buffers, and gives OrtValues of what is bound to it.
    public static OrtValues Of(IReadOnlyCollection<FixedBufferOnnxValue> buffers)
    {
        ArgumentNullException.ThrowIfNull(buffers);
        OnnxModel model = OnnxModel.Create("buffers", 18);
        for (int i = 0; i < buffers.Count; i++) NamedOutputs.AddIdentity(model, $"v{i}", ElementType.Float);
        using var session = new InferenceSession(GraphWriter.ToBytes(model));
        using OrtIoBinding binding = session.CreateIoBinding();
        int index = 0;
#pragma warning disable CS0618 // The package's own signatures take fixed buffers.
        foreach (FixedBufferOnnxValue buffer in buffers) binding.BindOutput($"v{index++}", buffer);
#pragma warning restore CS0618
        return new OrtValues(binding.GetOutputValues());
    }

    public void Dispose()
    {
        foreach (OrtValue value in this) value.Dispose();
    }
}

// Outputs as named values, which only a session makes: one that copies its inputs.
internal sealed class NamedOutputs : IDisposable
{
    private readonly InferenceSession _session;
    private readonly string[] _inputs;

    public NamedOutputs(IReadOnlyList<string> names, IReadOnlyCollection<OrtValue> values)
    {
        OnnxModel model = OnnxModel.Create("outputs", 18);
        foreach ((string name, OrtValue value) in names.Zip(values)) AddIdentity(model, name, (ElementType)(int)value.GetTensorTypeAndShape().ElementDataType);
        _inputs = [.. model.Graph.Inputs.Select(i => i.Name)];
        _session = new InferenceSession(GraphWriter.ToBytes(model));
    }

    public IDisposableReadOnlyCollection<DisposableNamedOnnxValue> Of(IReadOnlyCollection<OrtValue> values)
    {
        FixedBufferOnnxValue[] buffers = [.. values.Select(Buffer)];
        try
        {
            return _session.Run(_inputs, buffers);
        }
        finally
        {
            foreach (FixedBufferOnnxValue buffer in buffers) buffer.Dispose();
        }
    }

    public void Dispose() => _session.Dispose();

    private static FixedBufferOnnxValue Buffer(OrtValue value)
    {
        OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
        byte[] bytes = value.GetTensorMutableRawData().ToArray();
        return FixedBufferOnnxValue.CreateFromMemory<byte>(Device.Host, bytes, info.ElementDataType, info.Shape, bytes.Length);
    }

    public static void AddIdentity(OnnxModel model, string name, ElementType type)
    {
        Value input = model.Graph.AddInput($"{name}/in", type, null);
        var g = new GraphBuilder(model.Graph);
        Value output = g.Named(g.Identity(input), name);
        output.Type = type;
        model.Graph.Outputs.Add(output);
    }
}
