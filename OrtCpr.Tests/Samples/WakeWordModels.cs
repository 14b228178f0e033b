using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Tests.Samples;

// What artifacts/logmel.onnx and artifacts/wakeword.onnx are written by.
internal static class WakeWordModels
{
    private const int Frame = 2048, Step = 1280, Bands = 96, Frames = 16, Hidden = 32;

    // audio [1, samples] at 16 kHz -> features [frames, 96]: a quarter of the logarithms of 96 mel bands from 60 to 7600
    // Hz, a frame every 80 ms.
    public static byte[] LogMel()
    {
        OnnxModel model = OnnxModel.Create("logmel", 17);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value audio = graph.AddInput("audio", ElementType.Float, new Shape(1, SymbolicInt.Symbol("samples")));
        Term window = g.Op("HannWindow", [g.Int(Frame)]);
        Term spectrum = g.Op("STFT", [g.Op("Unsqueeze", [audio, g.Ints(2)]), g.Int(Step), window, g.Int(Frame)]);
        Term power = g.Op("ReduceSum", [g.Op("Mul", [spectrum, spectrum]), g.Ints(3)], ("keepdims", 0L));
        Term bands = g.Op("MelWeightMatrix", [g.Int(Bands), g.Int(Frame), g.Int(16000), Number(60), Number(7600)]);
        Term mel = g.Op("MatMul", [g.Op("Squeeze", [power, g.Ints(0)]), bands]);
        Value features = g.Op("Mul", [g.Op("Log", [g.Op("Add", [mel, Number(1e-3f)])]), Number(0.25f)]);
        graph.Outputs.Add(GraphBuilder.Typed(g.Named(features, "features"), ElementType.Float,
            new Shape(SymbolicInt.Symbol("frames"), Bands)));
        return GraphWriter.ToBytes(model);

        Term Number(float value) => g.Constant(TensorData.Scalar(value));
    }

    // features [batch, 16, 96] -> score [batch, 1], of openWakeWord's layout; weights are drawn as torch.nn.Linear draws them.
    public static byte[] Head()
    {
        OnnxModel model = OnnxModel.Create("wakeword", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = g.Op("Flatten", [graph.AddInput("features", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), Frames, Bands))]);
        x = Layer(x, "layer1", Frames * Bands, Hidden, true);
        x = Layer(x, "layer2", Hidden, Hidden, true);
        x = g.Op("Sigmoid", [Layer(x, "last_layer", Hidden, 1, false)]);
        graph.Outputs.Add(GraphBuilder.Typed(g.Named(x, "score"), ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 1)));
        ModelProto proto = ModelFile.Load(GraphWriter.ToBytes(model)).Proto;
        DrawnWeights.LeaveToBeDrawn(proto);
        return ModelFile.ToBytes(proto);

        Value Layer(Value input, string name, int inputs, int outputs, bool normalised)
        {
            Value y = g.Op("Gemm", [input, graph.AddInitializer($"{name}.weight", Filled(0, outputs, inputs)),
                graph.AddInitializer($"{name}.bias", Filled(0, outputs))], ("transB", 1L));
            return !normalised ? y : g.Op("Relu", [g.Op("LayerNormalization", [y,
                graph.AddInitializer($"{name}.norm.weight", Filled(1, outputs)),
                graph.AddInitializer($"{name}.norm.bias", Filled(0, outputs))])]);
        }
    }

    private static TensorData Filled(float value, params long[] dims) =>
        TensorData.From<float>(Enumerable.Repeat(value, (int)dims.Aggregate(1L, (n, d) => n * d)).ToArray(), dims);
}
