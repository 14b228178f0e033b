using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Tests.OnnxTraining;

/// <summary>A program that knows the standard and nothing of this library: it runs the first algorithm on stock ONNX Runtime, without
/// kernels of ours, and assigns what <c>update_binding</c> says.</summary>
internal sealed class OtherProgram : IDisposable
{
    private readonly TrainingInfoProto _info;
    private readonly InferenceSession _session;
    private readonly Dictionary<string, OrtValue> _state = new(StringComparer.Ordinal);
    private readonly string[] _outputs;

    public OtherProgram(ModelProto model)
    {
        _info = model.TrainingInfo[0];
        ModelProto step = model.Clone();
        step.TrainingInfo.Clear();
        step.Graph = TrainingInfoRules.Combined(model, _info);
        _outputs = [.. _info.UpdateBinding.Select(b => b.Value).Concat(_info.Algorithm.Output.Select(o => o.Name)).Distinct()];
        foreach (StringStringEntryProto binding in _info.UpdateBinding)
        {
            TensorProto variable = step.Graph.Initializer.First(i => i.Name == binding.Key);
            step.Graph.Initializer.Remove(variable);
            step.Graph.Input.Add(new ValueInfoProto { Name = variable.Name, Type = TypeOf(variable) });
            _state[variable.Name] = ValueOf(variable);
        }
        foreach (StringStringEntryProto binding in _info.UpdateBinding.Where(b => step.Graph.Output.All(o => o.Name != b.Value)))
            Assert.Fail($"'{binding.Value}' is no output");
        // It warns of inputs with a default.
        using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
        _session = new InferenceSession(step.ToByteArray(), options);
    }

    public OrtValue this[string variable] => _state[variable];

    /// <summary>One iteration.</summary>
    /// <param name="batch">The inputs of both graphs.</param>
    /// <param name="loss">The output to return.</param>
    public float Step(Batch batch, string loss)
    {
        using var run = new RunOptions();
        string[] names = [.. batch.Tensors.Keys.Concat(_state.Keys)];
        OrtValue[] values = [.. batch.Tensors.Values.Concat(_state.Values)];
        // Not disposed of as a whole: some are the variables of the next iteration.
        IDisposableReadOnlyCollection<OrtValue> results = _session.Run(run, names, values, _outputs);
        foreach (StringStringEntryProto binding in _info.UpdateBinding)
        {
            OrtValue updated = results[Array.IndexOf(_outputs, binding.Value)];
            updated.GetTensorMutableRawData().CopyTo(_state[binding.Key].GetTensorMutableRawData());
        }
        float value = results[Array.IndexOf(_outputs, loss)].GetTensorDataAsSpan<float>()[0];
        results.Dispose();
        return value;
    }

    public void Dispose()
    {
        _session.Dispose();
        foreach (OrtValue value in _state.Values) value.Dispose();
    }

    private static TypeProto TypeOf(TensorProto tensor)
    {
        var type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = tensor.DataType, Shape = new TensorShapeProto() } };
        type.TensorType.Shape.Dim.AddRange(tensor.Dims.Select(d => new TensorShapeProto.Types.Dimension { DimValue = d }));
        return type;
    }

    private static OrtValue ValueOf(TensorProto tensor)
    {
        OrtValue value = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance,
            (Microsoft.ML.OnnxRuntime.Tensors.TensorElementType)tensor.DataType, [.. tensor.Dims]);
        tensor.RawData.Span.CopyTo(value.GetTensorMutableRawData());
        return value;
    }
}
