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
        LeaveToBeDrawn(proto);
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

    // Weights and biases of Gemm between ±1/√inputs, each by a node of the initialization.
    private static void LeaveToBeDrawn(ModelProto proto)
    {
        var info = new TrainingInfoProto { Initialization = new GraphProto { Name = "initialization" } };
        long inputs = 0;
        foreach (TensorProto tensor in proto.Graph.Initializer.Where(i => !i.Name.Contains("norm", StringComparison.Ordinal)
            && (i.Name.EndsWith(".weight", StringComparison.Ordinal) || i.Name.EndsWith(".bias", StringComparison.Ordinal))))
        {
            if (tensor.Dims.Count == 2) inputs = tensor.Dims[1];
            float reach = (float)(1 / Math.Sqrt(inputs));
            var node = new NodeProto { OpType = "RandomUniform" };
            node.Output.Add($"{tensor.Name}.drawn");
            node.Attribute.Add(new AttributeProto { Name = "low", F = -reach, Type = AttributeProto.Types.AttributeType.Float });
            node.Attribute.Add(new AttributeProto { Name = "high", F = reach, Type = AttributeProto.Types.AttributeType.Float });
            var shape = new AttributeProto { Name = "shape", Type = AttributeProto.Types.AttributeType.Ints };
            shape.Ints.AddRange(tensor.Dims);
            node.Attribute.Add(shape);
            info.Initialization.Node.Add(node);
            info.InitializationBinding.Add(new StringStringEntryProto { Key = tensor.Name, Value = node.Output[0] });
            tensor.RawData = Google.Protobuf.ByteString.Empty;
            tensor.DataLocation = TensorProto.Types.DataLocation.External;
            tensor.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = "wakeword.drawn" });
        }
        proto.TrainingInfo.Add(info);
    }

    private static TensorData Filled(float value, params long[] dims) =>
        TensorData.From<float>(Enumerable.Repeat(value, (int)dims.Aggregate(1L, (n, d) => n * d)).ToArray(), dims);
}
