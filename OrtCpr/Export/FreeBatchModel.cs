using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Export;

/// <summary>The trained model for batches of any size.</summary>
internal static class FreeBatchModel
{
    /// <summary>The exported model with a free batch. Where only the shapes of inputs and outputs held the fixed size
    /// it is the same file but for those; else the graph that training ran is written, with opset 18 or later.</summary>
    /// <param name="plan">The job.</param>
    /// <param name="trained">Its model in inference form, changed here.</param>
    /// <param name="values">The trained values; emptied where they are in the result.</param>
    /// <exception cref="OptionException">The batch cannot be freed; the message names the node.</exception>
    public static ModelProto Of(TrainingPlan plan, ModelProto trained, Dictionary<string, TensorData> values)
    {
        OnnxModel model = RegulariseModel.Run(plan.Source, plan.DrawnWeights);
        InlineBranches.InferAndRun(model);
        FreeBatch.Result result = FreeBatch.Run(model, plan.BatchAxes);
        if (result.Size is null) return trained;
        if (result.Model is null) throw new OptionException($"A model with a free batch cannot be exported. {result.Warning}");
        if (!result.Rewritten)
        {
            Declare(trained.Graph.Input, result.Model.Graph.Inputs);
            Declare(trained.Graph.Output, result.Model.Graph.Outputs);
            Forget(trained.Graph);
            return trained;
        }
        OnnxModel freed = result.Model;
        TrainingMode.ToEvaluation(freed);
        foreach (Value initializer in freed.Graph.Initializers)
        {
            if (values.TryGetValue(initializer.Name, out TensorData? value)) initializer.Data = value.ConvertTo(initializer.Type);
        }
        values.Clear();
        ModelProto proto = GraphWriter.Write(freed);
        proto.TrainingInfo.Clear();
        return proto;
    }

    private static void Declare(IEnumerable<ValueInfoProto> declared, IEnumerable<Value> values)
    {
        Dictionary<string, Value> byName = values.DistinctBy(v => v.Name).ToDictionary(v => v.Name, StringComparer.Ordinal);
        foreach (ValueInfoProto info in declared)
        {
            if (byName.TryGetValue(info.Name, out Value? value) && info.Type?.TensorType is { } tensor)
                tensor.Shape = GraphWriter.TensorType(value.Type, value.Shape).TensorType.Shape;
        }
    }

    /// <summary>What files state of inner values has the fixed size in it.</summary>
    private static void Forget(GraphProto graph)
    {
        graph.ValueInfo.Clear();
        foreach (GraphProto body in graph.Node.SelectMany(n => n.Attribute).Select(a => a.G).OfType<GraphProto>())
        {
            Forget(body);
            foreach (ValueInfoProto info in body.Input.Concat(body.Output))
            {
                if (info.Type?.TensorType is { } tensor) tensor.Shape = null;
            }
        }
    }
}
