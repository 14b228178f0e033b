using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Losses;

// Models whose outputs are plain functions of the batch, for losses worked out by hand.
internal static class LossModels
{
    // logits = x + b, b zeros [classes].
    public static byte[] Biased(int classes = 3, ElementType type = ElementType.Float) => Make((g, graph) =>
    {
        Value x = graph.AddInput("x", type, new Shape(SymbolicInt.Symbol("N"), classes));
        return [("logits", g.Add(x, graph.AddInitializer("b", Zeros(type, classes))))];
    });

    // outputs = rule(x + b), x of a shape, b zeros of the last size.
    public static byte[] Of(Shape shape, Func<GraphBuilder, Value, (string, Value)[]> outputs, params long[] bias) => Make((g, graph) =>
    {
        Value x = graph.AddInput("x", ElementType.Float, shape);
        return outputs(g, g.Named(g.Add(x, graph.AddInitializer("b", Zeros(ElementType.Float, bias))), "z"));
    });

    public static byte[] Make(Func<GraphBuilder, OnnxGraph, (string Name, Value Value)[]> write)
    {
        OnnxModel model = OnnxModel.Create("model", 18);
        var g = new GraphBuilder(model.Graph);
        foreach ((string name, Value value) in write(g, model.Graph))
            model.Graph.Outputs.Add(value.Name == name ? value : g.Named(value, name));
        return GraphWriter.ToBytes(model);
    }

    public static Dim Symbol(string name) => SymbolicInt.Symbol(name);

    public static TensorData Zeros(ElementType type, params long[] dims) =>
        TensorData.From<float>(new float[dims.Aggregate(1L, (n, d) => n * d)], dims).ConvertTo(type);

    public static TrainingDriver Created(byte[] model, OrtCpr.Graph.Losses.Loss loss, bool kernels = true) => new(
        TrainingGraphBuilder.Build(model, new TrainingOptions
        {
            Loss = loss,
            Optimizer = new() { Groups = [OrtCpr.Graph.Optimizers.UpdateRule.Sgd(1)] },
            Parameters = new() { Train = ["b"] },
        }), new DriverOptions { Threads = 1, Kernels = kernels });
}
