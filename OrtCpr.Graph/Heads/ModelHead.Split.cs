using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Heads;

public static partial class ModelHead
{
    /// <summary>Takes a model apart in front of its head, so that the features of a frozen body are computed once and the head is
    /// trained on them: a fraction of the work of an epoch.</summary>
    /// <remarks>The cut is behind the pooling and in front of the head's dropout. The head's parameters keep their names, so that
    /// <c>TrainingDriver.UpdateParameter</c> puts trained ones into the whole model.</remarks>
    /// <param name="modelPath">A model with one head that <see cref="Replace(string, string, string?, DenseHead)"/> made.</param>
    /// <param name="bodyPath">The model without the head; its first output is the features, [batch, width] or [batch, tokens, width].
    /// Replaced atomically.</param>
    /// <param name="headPath">The head alone, whose input is the features. Replaced atomically.</param>
    /// <returns>Name of the features.</returns>
    /// <exception cref="ModelFormatException">The model can't be read, or does not have exactly one such head.</exception>
    /// <exception cref="FileAccessException">A file can't be read or written.</exception>
    public static string Split(string modelPath, string bodyPath, string headPath)
    {
        ArgumentNullException.ThrowIfNull(bodyPath);
        ArgumentNullException.ThrowIfNull(headPath);
        // Each part is what is left of a reading of its own.
        Part(modelPath, bodyPath, isHead: false);
        return Part(modelPath, headPath, isHead: true);
    }

    private static string Part(string modelPath, string targetPath, bool isHead)
    {
        using ModelFile file = ModelFile.Load(modelPath);
        bool isDrawn = WeightInitialization.IsNeeded(file);
        OnnxModel model = GraphReader.Read(file, isDrawn ? WeightInitialization.Draw(file, 0) : null);
        model.Graph.Sort();
        InferWithOutputs(model);
        Value features = Features(model.Graph, file);
        var info = new ValueInfoProto { Name = features.Name, Type = GraphWriter.TensorType(features.Type, features.Shape) };
        GraphProto graph = file.Proto.Graph;
        if (isHead)
        {
            OldHead.KeepBehind(file.Proto, model.Graph, features);
            graph.Input.Insert(0, info);
        }
        else
        {
            OldHead.Remove(file.Proto, model.Graph, features, [features]);
            graph.Output.Insert(0, info);
            Set(file.Proto, HeadsKey, []);
            Set(file.Proto, ClassNamesKey, []);
        }
        ModelFile.Save(file.Proto, targetPath, source: FolderOf(modelPath) == FolderOf(targetPath) || isDrawn ? null : file.Folder);
        return features.Name;
    }

    /// <summary>What the only head of a file reads, in front of its dropout.</summary>
    private static Value Features(OnnxGraph graph, ModelFile file)
    {
        HashSet<string> parameters = [.. HeadsOf(file.Proto)];
        Node[] layers = [.. graph.Nodes.Where(n => n.QualifiedType is "Gemm" or "MatMul"
            && n.Inputs is [_, Value weight, ..] && parameters.Contains(weight.Name))];
        if (layers.Length != 1)
        {
            throw new ModelFormatException($"Model '{file.Name}' has {layers.Length} heads; expected one, which "
                + $"{nameof(ModelHead)}.{nameof(Replace)} (ortcpr head) puts into a model.");
        }
        Value features = layers[0].Inputs[0]!;
        return features.Producer is Node before && before.Is("Dropout") ? before.Inputs[0]! : features;
    }
}
