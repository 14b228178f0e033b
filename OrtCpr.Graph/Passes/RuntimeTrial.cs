using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Passes;

/// <summary>Shows a model to ONNX Runtime as it came, at its own opset: what does not run would be trained and exported
/// for nothing. Goes on beside the building of graphs.</summary>
internal sealed class RuntimeTrial
{
    /// <summary>ONNX Runtime has kernels from here on; older files are trained by what they are raised to.</summary>
    private const long FirstOpset = 7;

    /// <summary>Small ones may matter as values: axes, scales, sizes.</summary>
    private const long KeptElements = 512;

    /// <summary>Weights that count for nothing here need not be copied into a session.</summary>
    private const long LargestWhole = 1L << 30;

    /// <summary>A session's time grows faster than its nodes, so a long graph is shown in parts.</summary>
    private const int PartNodes = 400;

    private readonly ModelFile _file;
    private readonly Task<bool> _accepted;

    private RuntimeTrial(ModelFile file, Task<bool> accepted) => (_file, _accepted) = (file, accepted);

    /// <summary>Begins.</summary>
    /// <param name="file">The model.</param>
    /// <param name="inferred">The same model after shape inference: types of what goes from part to part.</param>
    public static RuntimeTrial Start(ModelFile file, OnnxGraph inferred)
    {
        // Files before IR 3 import no opset, which means the first.
        OperatorSetIdProto? opset = file.Proto.OpsetImport.FirstOrDefault(o => o.Domain is "" or "ai.onnx");
        bool isOld = opset is null || opset.Version < FirstOpset;
        // Refused with a matrix from the file, whatever one does, and trained in another form all the same.
        if (isOld || file.Proto.Graph.Node.Any(n => n.OpType == SparseOperands.Operator)) return new(file, Task.FromResult(true));
        // Written here: the messages are the caller's, who may change them.
        byte[][] parts = [.. Parts(file, inferred).Select(Google.Protobuf.MessageExtensions.ToByteArray)];
        return new(file, Task.Run(() => parts.All(part => Refusal(part) is null)));
    }

    /// <summary>Waits for the result; mends in the file what can be mended.</summary>
    /// <returns>What was changed in the file, which has to be read again then.</returns>
    /// <exception cref="ModelFormatException">ONNX Runtime does not take the model, for its reason.</exception>
    public IReadOnlyList<string> Finish()
    {
        if (_accepted.GetAwaiter().GetResult()) return [];
        if (ModelRepair.ReplaceDeadBranches(_file.Proto) is { Count: > 0 } replaced) return replaced;
        // Some operators ask for weights that are constant, and some say less of a part than of the whole.
        if (Whole(_file) is ModelProto whole && Refusal(Google.Protobuf.MessageExtensions.ToByteArray(whole)) is string reason)
        {
            throw new ModelFormatException(
                $"ONNX Runtime does not run the model '{_file.Name}' as it is: {reason} Export it again, or check it with onnx.checker.");
        }
        return [];
    }

    private static string? Refusal(byte[] model)
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
            new InferenceSession(model, options).Dispose();
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

    /// <summary>Pieces of the model, their big weights and what other pieces make inputs of known type.</summary>
    private static IEnumerable<ModelProto> Parts(ModelFile file, OnnxGraph inferred)
    {
        GraphProto from = file.Proto.Graph;
        var types = new Dictionary<string, ValueInfoProto>(StringComparer.Ordinal);
        foreach (Value value in inferred.Nodes.SelectMany(n => n.Outputs).OfType<Value>())
        {
            if (value.Type != ElementType.Undefined && value.Shape is not null)
                types[value.Name] = new ValueInfoProto { Name = value.Name, Type = GraphWriter.TensorType(value.Type, value.Shape) };
        }
        NodeProto[][] parts = [.. from.Node.Chunk(PartNodes)];
        string[][] read = [.. parts.Select(p => p.SelectMany(Read).Distinct().ToArray())];
        HashSet<string>[] made = [.. parts.Select(p => p.SelectMany(n => n.Output).ToHashSet(StringComparer.Ordinal))];
        var all = made.SelectMany(m => m).ToHashSet(StringComparer.Ordinal);
        // Half-precision values are inferred as their float32 masters, and a sequence has no type to hand over.
        bool whole = parts.Length == 1 || inferred.Initializers.Any(i => i.Place is FilePlace place && place.Type != i.Type)
            || Enumerable.Range(0, parts.Length).Any(i =>
                read[i].Any(r => all.Contains(r) && !made[i].Contains(r) && !types.ContainsKey(r)));
        if (whole)
        {
            yield return Skeleton(file, from.Node, from.Node.SelectMany(Read).ToHashSet(StringComparer.Ordinal), [], from.Output);
            yield break;
        }
        for (int i = 0; i < parts.Length; i++)
        {
            HashSet<string> needed = [.. read[i]];
            yield return Skeleton(file, parts[i], needed, needed.Where(r => all.Contains(r) && !made[i].Contains(r)).Select(r => types[r]),
                made[i].Where(m => m.Length > 0).Select(m => new ValueInfoProto { Name = m }));
        }
    }

    private static IEnumerable<string> Read(NodeProto node) => node.Input.Concat(node.Attribute.Where(a => a.G is not null)
        .SelectMany(a => a.G.Node.SelectMany(Read).Concat(a.G.Output.Select(o => o.Name)))).Where(name => name.Length > 0);

    private static ModelProto Skeleton(ModelFile file, IEnumerable<NodeProto> nodes, HashSet<string> read,
        IEnumerable<ValueInfoProto> handed, IEnumerable<ValueInfoProto> outputs)
    {
        ModelProto model = file.Proto.WithoutGraph();
        GraphProto from = file.Proto.Graph, graph = new() { Name = from.Name };
        graph.Node.AddRange(nodes);
        graph.Input.AddRange(from.Input);
        graph.Input.AddRange(handed);
        graph.Output.AddRange(outputs);
        graph.SparseInitializer.AddRange(from.SparseInitializer.Where(s => read.Contains(s.Values?.Name ?? "")));
        var inputs = from.Input.Select(i => i.Name).ToHashSet(StringComparer.Ordinal);
        foreach (TensorProto tensor in from.Initializer.Where(t => read.Contains(t.Name)))
        {
            bool small = tensor.Dims.Aggregate(1L, (n, d) => n * d) <= KeptElements;
            if (small && !ExternalDataReference.IsExternal(tensor)) graph.Initializer.Add(tensor);
            else if (!inputs.Contains(tensor.Name)) graph.Input.Add(Declared(tensor));
        }
        model.Graph = graph;
        model.Functions.AddRange(file.Proto.Functions);
        return model;
    }

    private static ValueInfoProto Declared(TensorProto tensor) => new()
    {
        Name = tensor.Name,
        Type = GraphWriter.TensorType((ElementType)tensor.DataType, Shape.Of([.. tensor.Dims])),
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
