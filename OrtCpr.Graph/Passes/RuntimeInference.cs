using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Passes;

/// <summary>ONNX Runtime's own inference, on a copy whose intermediates are untyped outputs and whose big weights are
/// inputs of known shape.</summary>
internal static class RuntimeInference
{
    /// <summary>Initializers up to this size may matter to inference as values (axes, scales, sizes).</summary>
    private const long KeptElements = 512;

    public static void Run(OnnxModel model)
    {
        // 16-bit operators need no kernel, nor an opset that knows them, to have a shape: float32 is shown in their place.
        OnnxModel? widened = Widened(model);
        ModelProto proto = Skeleton(widened ?? model, out Dictionary<string, Value> values);
        if (widened is not null) values = model.Graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>().ToDictionary(v => v.Name);
        using var options = new SessionOptions
        {
            GraphOptimizationLevel = GraphOptimizationLevel.ORT_DISABLE_ALL,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL,
            IntraOpNumThreads = 1,
        };
        options.AddSessionConfigEntry("session.disable_prepacking", "1");
        using InferenceSession session = Open(widened ?? model, proto, options, out bool isNarrowed);
        foreach ((string name, NodeMetadata metadata) in session.OutputMetadata)
        {
            if (!metadata.IsTensor || !values.TryGetValue(name, out Value? value)) continue;
            var type = (ElementType)(int)metadata.ElementDataType;
            // Which floating type it is follows from the operands.
            if (widened is null || type != ElementType.Float)
                value.Type = isNarrowed && type == ElementType.Float ? ElementType.Double : type;
            int[] dims = metadata.Dimensions;
            // The C# metadata give no dimensions both for a scalar and for an unknown rank; our rules decide where they can.
            if (dims.Length == 0 && value.Shape is null && value.Producer is not null) continue;
            string[] symbols = metadata.SymbolicDimensions;
            // Some operators' own inference says 0 where it does not know.
            value.Shape ??= new Shape(
                dims.Select((d, i) =>
                    d > 0 || (d == 0 && value.Producer is null) ? d : d == 0 ? Dim.Unknown : symbols[i].Length > 0
                    ? SymbolicInt.Symbol(symbols[i].Replace("*", "·", StringComparison.Ordinal)) : Dim.Unknown));
        }
    }

    private static OnnxModel? Widened(OnnxModel model)
    {
        IEnumerable<Value> values = model.Graph.Inputs.Concat(model.Graph.Initializers)
            .Concat(model.Graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>());
        if (values.All(v => v.Type is not (ElementType.Float16 or ElementType.BFloat16))) return null;
        OnnxModel copy = GraphCopier.Copy(model).Model;
        MasterWeights.Run(copy);
        return copy;
    }

    /// <summary>A float64 model whose operators have no kernel of that width is inferred in float32: shapes do not depend
    /// on it.</summary>
    private static InferenceSession Open(OnnxModel model, ModelProto proto, SessionOptions options, out bool isNarrowed)
    {
        isNarrowed = false;
        string name = model.Graph.Name;
        try
        {
            return new InferenceSession(Google.Protobuf.MessageExtensions.ToByteArray(proto), options);
        }
        catch (OnnxRuntimeException error) when (error.Message.Contains("NotImplemented", StringComparison.Ordinal)
            && MasterWeights.Narrowed(model) is OnnxModel narrowed)
        {
            isNarrowed = true;
            return Open(Google.Protobuf.MessageExtensions.ToByteArray(Skeleton(narrowed, out _)), options, name);
        }
        catch (OnnxRuntimeException)
        {
            return Open(Google.Protobuf.MessageExtensions.ToByteArray(proto), options, name);
        }
    }

    private static InferenceSession Open(byte[] bytes, SessionOptions options, string name)
    {
        try
        {
            return new InferenceSession(bytes, options);
        }
        catch (OnnxRuntimeException error)
        {
            throw new ModelFormatException(
                $"ONNX Runtime does not accept the model (graph '{name}'): {error.Message} Check the model with onnx.checker, or export "
                + "it again.", error);
        }
    }

    private static ModelProto Skeleton(OnnxModel model, out Dictionary<string, Value> values)
    {
        OnnxGraph graph = model.Graph;
        Value[] outputs = [.. graph.Outputs];
        Value[] initializers = [.. graph.Initializers];
        ModelProto proto;
        try
        {
            graph.Outputs.Clear();
            graph.Initializers.Clear();
            foreach (Value kept in initializers.Where(i => i.Data!.ElementCount <= KeptElements)) graph.Initializers.Add(kept);
            proto = GraphWriter.Write(model);
        }
        finally
        {
            graph.Initializers.Clear();
            foreach (Value i in initializers) graph.Initializers.Add(i);
            foreach (Value o in outputs) graph.Outputs.Add(o);
        }
        foreach (Value big in initializers.Where(i => i.Data!.ElementCount > KeptElements))
            proto.Graph.Input.Add(new ValueInfoProto { Name = big.Name, Type = GraphWriter.TensorType(big.Type, big.Shape) });
        proto.Graph.QuantizationAnnotation.Clear();
        values = new(StringComparer.Ordinal);
        foreach (Value? output in graph.Nodes.SelectMany(n => n.Outputs))
        {
            if (output is null) continue;
            proto.Graph.Output.Add(new ValueInfoProto { Name = output.Name });
            values[output.Name] = output;
        }
        return proto;
    }
}
