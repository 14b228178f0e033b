using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Tests.Samples;

// What artifacts/digits.onnx is written by.
internal static class DigitsModel
{
    private const int Side = 16, First = 8, Second = 16, Hidden = 48, Classes = 10;

    // image [batch, 1, 16, 16], ink from 0 to 1 -> logits [batch, 10]; weights are drawn as PyTorch draws them.
    public static byte[] Write()
    {
        OnnxModel model = OnnxModel.Create("digits", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("image", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 1, Side, Side));
        x = Convolved(x, "conv1", 1, First);
        x = Convolved(x, "conv2", First, Second);
        x = g.Op("Relu", [Dense(g.Op("Flatten", [x]), "fc1", Second * Side * Side / 16, Hidden)]);
        x = Dense(x, "fc2", Hidden, Classes);
        graph.Outputs.Add(GraphBuilder.Typed(g.Named(x, "logits"), ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), Classes)));
        ModelProto proto = ModelFile.Load(GraphWriter.ToBytes(model)).Proto;
        DrawnWeights.LeaveToBeDrawn(proto);
        return ModelFile.ToBytes(proto);

        Value Convolved(Value input, string name, int channels, int filters) => g.Op("MaxPool", [g.Op("Relu", [g.Op("Conv", [input,
            Zeros($"{name}.weight", filters, channels, 3, 3), Zeros($"{name}.bias", filters)], ("pads", new long[] { 1, 1, 1, 1 }))])],
            ("kernel_shape", new long[] { 2, 2 }), ("strides", new long[] { 2, 2 }));

        Value Dense(Value input, string name, int inputs, int outputs) => g.Op("Gemm", [input, Zeros($"{name}.weight", outputs, inputs),
            Zeros($"{name}.bias", outputs)], ("transB", 1L));

        Value Zeros(string name, params long[] dims) =>
            graph.AddInitializer(name, TensorData.From<float>(new float[dims.Aggregate(1L, (n, d) => n * d)], dims));
    }
}
