using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph;

/// <summary>A model that draws random numbers, as one function: what its nodes draw becomes inputs, which are fed with one
/// draw.</summary>
internal sealed class HeldDraws
{
    private readonly OnnxModel _model;
    private readonly Node[] _nodes;

    private HeldDraws(OnnxModel model, Node[] nodes) => (_model, _nodes) = (model, nodes);

    /// <summary>Of a model file; null where no node of its main graph draws.</summary>
    /// <param name="path">Model file.</param>
    /// <param name="seed">Of the draws, and of weights that the file only describes.</param>
    public static HeldDraws? Of(string path, int seed)
    {
        ModelFile file = ModelFile.Load(path);
        OnnxModel model = GraphReader.Read(file, WeightInitialization.IsNeeded(file) ? WeightInitialization.Draw(file, seed)
            : new Dictionary<string, TensorData>());
        InlineFunctions.Run(model);
        Node[] nodes = [.. model.Graph.Nodes.Where(n => n.Has(Trait.Random))];
        if (nodes.Length == 0) return null;
        for (int i = 0; i < nodes.Length; i++) nodes[i].Set("seed", (float)(seed + i + 1));
        return new HeldDraws(model, nodes);
    }

    /// <summary>What the model is fed with, as for a batch.</summary>
    public IReadOnlyList<BatchInput> Inputs => [.. _model.Graph.Inputs.Select(i => TrainingGraphBuilder.Describe(i, false))];

    /// <summary>Names of what is drawn.</summary>
    public IReadOnlyList<string> Names => [.. _nodes.Select(n => n.Outputs[0]!.Name)];

    /// <summary>A model whose outputs are the draws.</summary>
    public byte[] Drawing()
    {
        (OnnxModel model, IReadOnlyDictionary<Value, Value> map) = GraphCopier.Copy(_model);
        model.Graph.Outputs.Clear();
        foreach (Node node in _nodes) model.Graph.Outputs.Add(map[node.Outputs[0]!]);
        RemoveDeadNodes.Run(model.Graph);
        return GraphWriter.ToBytes(model);
    }

    /// <summary>The model with the draws as inputs.</summary>
    /// <param name="draws">What was drawn, by name: types and shapes of the inputs.</param>
    public byte[] Held(IReadOnlyDictionary<string, TensorData> draws)
    {
        (OnnxModel model, IReadOnlyDictionary<Value, Value> map) = GraphCopier.Copy(_model);
        foreach (Node node in _nodes)
        {
            Value value = map[node.Outputs[0]!];
            model.Graph.Nodes.Remove(value.Producer!);
            value.Producer = null;
            TensorData draw = draws[value.Name];
            (value.Type, value.Shape) = (draw.Type, Shape.Of(draw.Dimensions));
            model.Graph.Inputs.Add(value);
        }
        return GraphWriter.ToBytes(model);
    }
}
