using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.OrtTraining;

/// <summary>Values that belong together and are disposed of together.</summary>
internal sealed class OrtValues(IEnumerable<OrtValue> values) : List<OrtValue>(values), IDisposableReadOnlyCollection<OrtValue>
{
    public void Dispose()
    {
        foreach (OrtValue value in this) value.Dispose();
    }
}

/// <summary>Fixed buffers as OrtValues over the same memory: a binding takes the ones and gives the others. Owns one
/// session for each number of buffers.</summary>
internal sealed class BufferViews : IDisposable
{
    private readonly Dictionary<int, InferenceSession> _sessions = [];

    public OrtValues Of(IReadOnlyCollection<FixedBufferOnnxValue> buffers)
    {
        ArgumentNullException.ThrowIfNull(buffers);
        if (!_sessions.TryGetValue(buffers.Count, out InferenceSession? session))
            session = _sessions[buffers.Count] = Create(buffers.Count);
        using OrtIoBinding binding = session.CreateIoBinding();
        int index = 0;
#pragma warning disable CS0618 // The package's own signatures take fixed buffers.
        foreach (FixedBufferOnnxValue buffer in buffers) binding.BindOutput($"v{index++}", buffer);
#pragma warning restore CS0618
        return new OrtValues(binding.GetOutputValues());
    }

    public void Dispose()
    {
        foreach (InferenceSession session in _sessions.Values) session.Dispose();
    }

    /// <summary>It never runs, so the types do not matter.</summary>
    private static InferenceSession Create(int count)
    {
        OnnxModel model = OnnxModel.Create("buffers", 18);
        for (int i = 0; i < count; i++) NamedOutputs.AddIdentity(model, $"v{i}", ElementType.Float);
        return new InferenceSession(GraphWriter.ToBytes(model));
    }
}

/// <summary>Outputs as named values, which only a session makes: one that copies its inputs.</summary>
internal sealed class NamedOutputs : IDisposable
{
    private readonly InferenceSession _session;
    private readonly string[] _inputs;

    public NamedOutputs(IReadOnlyList<string> names, IReadOnlyCollection<OrtValue> values)
    {
        OnnxModel model = OnnxModel.Create("outputs", 18);
        foreach ((string name, OrtValue value) in names.Zip(values))
        {
            AddIdentity(model, name,
            (ElementType)(int)value.GetTensorTypeAndShape().ElementDataType);
        }

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

    private static FixedBufferOnnxValue Buffer(OrtValue value) => value.GetTensorTypeAndShape().ElementDataType switch
    {
        TensorElementType.Float => Buffer<float>(value),
        TensorElementType.Double => Buffer<double>(value),
        TensorElementType.Float16 => Buffer<Float16>(value),
        TensorElementType.BFloat16 => Buffer<BFloat16>(value),
        TensorElementType.Int64 => Buffer<long>(value),
        TensorElementType.Int32 => Buffer<int>(value),
        TensorElementType.Int16 => Buffer<short>(value),
        TensorElementType.Int8 => Buffer<sbyte>(value),
        TensorElementType.UInt64 => Buffer<ulong>(value),
        TensorElementType.UInt32 => Buffer<uint>(value),
        TensorElementType.UInt16 => Buffer<ushort>(value),
        TensorElementType.UInt8 => Buffer<byte>(value),
        TensorElementType.Bool => Buffer<bool>(value),
        TensorElementType other => throw new DriverException($"An output of type {other} has no named form. Use TrainStep over OrtValues."),
    };

    private static FixedBufferOnnxValue Buffer<T>(OrtValue value) where T : unmanaged
    {
        OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
        return FixedBufferOnnxValue.CreateFromMemory<T>(Device.Host, value.GetTensorDataAsSpan<T>()
            .ToArray(), info.ElementDataType, info.Shape, value.GetTensorMutableRawData().Length);
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
