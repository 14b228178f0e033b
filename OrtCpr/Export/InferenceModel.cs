using OrtCpr.Buffers;
using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Export;

/// <summary>The trained model as a plain inference model: the file that came in, with the trained values in place of
/// the old ones and training-only forms switched off. Everything else in it stays as it was.</summary>
internal static class InferenceModel
{
    public static void Save(TrainingPlan graphs, TensorStore store, string path, bool freeBatch)
    {
        ModelProto model = Trained(graphs, store, out Dictionary<string, TensorData> values);
        if (freeBatch) model = FreeBatchModel.Of(graphs, model, values);
        ModelFile.Save(model, path, initializers: values, source: graphs.Source.Folder);
    }

    /// <summary>The first opset without the attribute <c>is_test</c>.</summary>
    private const int IsTestUntil = 7;

    /// <summary>Everything inline; references to external data of tensors that were not trained stay as they
    /// are.</summary>
    public static void Save(TrainingPlan graphs, TensorStore store, Stream stream, bool freeBatch)
    {
        ModelProto model = Trained(graphs, store, out Dictionary<string, TensorData> values);
        if (freeBatch) model = FreeBatchModel.Of(graphs, model, values);
        ModelFile.Save(model, stream, values);
    }

    /// <summary>Everything inline, external data of tensors that were not trained too.</summary>
    /// <exception cref="ModelFormatException">It is over 2 GiB.</exception>
    public static byte[] ToBytes(TrainingPlan graphs, TensorStore store)
    {
        ModelProto model = Trained(graphs, store, out Dictionary<string, TensorData> values);
        return ModelFile.ToBytes(model, values, graphs.Source.Folder);
    }

    private static ModelProto Trained(TrainingPlan graphs, TensorStore store, out Dictionary<string, TensorData> values)
    {
        ModelProto model = graphs.Source.Proto.Clone();
        TensorPlaces places = graphs.Source.Places;
        values = new Dictionary<string, TensorData>(StringComparer.Ordinal);
        foreach (string name in graphs.InitialParameters.Keys.Concat(graphs.InitialStatistics.Keys))
        {
            TensorData value = store.Read(name);
            // Half-precision weights trained as float32 masters return to their own type.
            values[name] = places.Find(name)?.Type is ElementType type && type != value.Type && type.IsFloating() ? value.ConvertTo(type)
                : value;
        }
        foreach (TiedParameter copy in graphs.Tied)
        {
            if (values.TryGetValue(copy.Source, out TensorData? value))
                values[copy.Name] = copy.Transposed ? TensorTwins.Transpose(value) : value;
        }
        foreach ((string name, TensorData drawn) in graphs.DrawnWeights)
        {
            if (places.Find(name) is not null) values.TryAdd(name, drawn);
        }
        model.TrainingInfo.Clear();
        ToInference(model.Graph, model.OpsetImport.FirstOrDefault(o => o.Domain is "" or "ai.onnx")?.Version ?? 1);
        return model;
    }

    private static void ToInference(GraphProto graph, long opset)
    {
        var trainingModes = new HashSet<string>(StringComparer.Ordinal);
        var statistics = new List<NodeProto>();
        var read = graph.Node.SelectMany(n => n.Input).Concat(graph.Output.Select(o => o.Name)).ToHashSet(StringComparer.Ordinal);
        foreach (NodeProto node in graph.Node)
        {
            if (node.Domain is not ("" or "ai.onnx")) continue;
            if (node.OpType == "BatchNormalization")
            {
                for (int i = node.Attribute.Count - 1; i >= 0; i--)
                {
                    if (node.Attribute[i].Name == "training_mode") node.Attribute.RemoveAt(i);
                }
                // Running statistics that somebody reads are, without training, what the node was given.
                for (int i = 1; i < node.Output.Count; i++)
                {
                    if (read.Contains(node.Output[i]) && node.Output[i].Length > 0)
                    {
                        statistics.Add(new NodeProto
                        { OpType = "Identity", Input = { node.Input[i % 2 == 1 ? 3 : 4] }, Output = { node.Output[i] } });
                    }
                }
                if (node.Output.Count > 1) MarkTest(node, opset);
                while (node.Output.Count > 1) node.Output.RemoveAt(1);
            }
            else if (node.OpType == "Dropout" && opset < IsTestUntil)
            {
                MarkTest(node, opset);
            }
            else if (node.OpType == "Dropout" && node.Input.Count > 2)
            {
                trainingModes.Add(node.Input[2]);
                node.Input.RemoveAt(2);
            }
            foreach (AttributeProto attribute in node.Attribute)
            {
                if (attribute.G is not null) ToInference(attribute.G, opset);
            }
        }
        for (int i = 0; i < statistics.Count; i++) graph.Node.Insert(i, statistics[i]);
        RemoveUnread(graph, trainingModes);
    }

    /// <summary>Below opset 7 an attribute says that a node is not training.</summary>
    private static void MarkTest(NodeProto node, long opset)
    {
        if (opset >= IsTestUntil) return;
        AttributeProto? flag = node.Attribute.FirstOrDefault(a => a.Name == "is_test");
        if (flag is null) node.Attribute.Add(flag = new AttributeProto { Name = "is_test", Type = AttributeProto.Types.AttributeType.Int });
        flag.I = 1;
    }

    /// <summary>The flag of a Dropout and the constant that fed it have no reader any more.</summary>
    private static void RemoveUnread(GraphProto graph, HashSet<string> names)
    {
        names.ExceptWith(graph.Node.SelectMany(n => n.Input).Concat(graph.Output.Select(o => o.Name)));
        for (int i = graph.Node.Count - 1; i >= 0; i--)
        {
            if (graph.Node[i].OpType == "Constant" && names.Contains(graph.Node[i].Output[0])) graph.Node.RemoveAt(i);
        }
        for (int i = graph.Initializer.Count - 1; i >= 0; i--)
        {
            if (names.Contains(graph.Initializer[i].Name)) graph.Initializer.RemoveAt(i);
        }
    }
}
