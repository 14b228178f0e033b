using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Passes;

/// <summary>Shows a model to ONNX Runtime as it came, at its own opset, before anything is made of it: what does not run
/// would be trained and exported for nothing.</summary>
internal static class RuntimeTrial
{
    /// <summary>ONNX Runtime has kernels from here on; older files are trained by what they are raised to.</summary>
    private const long FirstOpset = 7;

    /// <summary>Small ones may matter as values: axes, scales, sizes.</summary>
    private const long KeptElements = 512;

    /// <summary>Weights that count for nothing here need not be copied into a session.</summary>
    private const long LargestWhole = 1L << 30;

    /// <returns>What had to be changed in the file, for the user.</returns>
    /// <exception cref="ModelFormatException">ONNX Runtime does not take the model, for its reason.</exception>
    public static IReadOnlyList<string> Run(ModelFile file)
    {
        if (file.Proto.OpsetImport.Any(o => o.Domain is "" or "ai.onnx" && o.Version < FirstOpset)) return [];
        if (Refusal(Skeleton(file)) is null) return [];
        IReadOnlyList<string> replaced = ModelRepair.ReplaceDeadBranches(file.Proto);
        if (replaced.Count > 0)
        {
            file.Reread();
            if (Refusal(Skeleton(file)) is null) return replaced;
        }
        // Some operators ask for weights that are constant.
        if (Whole(file) is ModelProto whole && Refusal(whole) is string reason)
        {
            throw new ModelFormatException(
                $"ONNX Runtime does not run the model '{file.Name}' as it is: {reason} Export it again, or check it with onnx.checker.");
        }
        return replaced;
    }

    private static string? Refusal(ModelProto model)
    {
        using var options = new SessionOptions
        {
            GraphOptimizationLevel = GraphOptimizationLevel.ORT_DISABLE_ALL,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL,
            IntraOpNumThreads = 1,
        };
        options.AddSessionConfigEntry("session.disable_prepacking", "1");
        try
        {
            new InferenceSession(Google.Protobuf.MessageExtensions.ToByteArray(model), options).Dispose();
            return null;
        }
        // A kernel that the CPU lacks may be there on the device, or be written in others.
        catch (OnnxRuntimeException error) when (error.Message.Contains("NotImplemented", StringComparison.Ordinal))
        {
            return null;
        }
        catch (OnnxRuntimeException error)
        {
            return error.Message;
        }
    }

    /// <summary>The model, its big weights inputs of known shape.</summary>
    private static ModelProto Skeleton(ModelFile file)
    {
        ModelProto model = file.Proto.WithoutGraph();
        GraphProto from = file.Proto.Graph;
        var graph = new GraphProto { Name = from.Name };
        graph.Node.AddRange(from.Node);
        graph.Input.AddRange(from.Input);
        graph.Output.AddRange(from.Output);
        graph.ValueInfo.AddRange(from.ValueInfo);
        graph.SparseInitializer.AddRange(from.SparseInitializer);
        var inputs = from.Input.Select(i => i.Name).ToHashSet(StringComparer.Ordinal);
        foreach (TensorProto tensor in from.Initializer)
        {
            if (tensor.Dims.Aggregate(1L, (n, d) => n * d) <= KeptElements && !ExternalDataReference.IsExternal(tensor))
            {
                graph.Initializer.Add(tensor);
                continue;
            }
            if (!inputs.Contains(tensor.Name)) graph.Input.Add(Declared(tensor));
        }
        model.Graph = graph;
        model.Functions.AddRange(file.Proto.Functions);
        return model;
    }

    private static ValueInfoProto Declared(TensorProto tensor) => new()
    {
        Name = tensor.Name,
        Type = GraphWriter.TensorType((ElementType)tensor.DataType, Ir.Shape.Of([.. tensor.Dims])),
    };

    /// <summary>The model with all of its weights inline; null where they are too many, or not there.</summary>
    private static ModelProto? Whole(ModelFile file)
    {
        if (WeightInitialization.IsNeeded(file)) return file.Proto;
        ModelProto model = file.Proto.Clone();
        long size = 0;
        foreach (TensorSite site in ModelTensors.All(model).Where(s => ExternalDataReference.IsExternal(s.Tensor)))
        {
            TensorData data = file.Read(site);
            if ((size += data.Bytes.Length) > LargestWhole) return null;
            TensorSerializer.SetData(site.Tensor, data);
        }
        return model;
    }
}
