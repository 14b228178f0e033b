using System.Globalization;
using OrtCpr.Benchmarks.Peers;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Optimizers;
using TorchSharp;

namespace OrtCpr.Benchmarks.Sides;

/// <summary>Fine-tuning of torchvision's ResNet18 on random pictures of 224 × 224.</summary>
internal sealed class PicturesTask : FineTuneTask
{
    public const int Side = 224;

    private const int Opset = 18;
    private const int StemWidth = 64;

    private readonly int _rows;
    private readonly Lazy<(byte[] Model, Dictionary<string, TensorData> Weights)> _made = new(Make);
    private readonly float[] _images;

    public PicturesTask(bool isHeadOnly, UpdateRule rule, int rows) : base(isHeadOnly, rule)
    {
        _rows = rows;
        var random = new Random(4);
        _images = [.. Enumerable.Range(0, rows * 3 * Side * Side).Select(_ => (random.NextSingle() * 4) - 2)];
        Labels = [.. Enumerable.Range(0, rows).Select(_ => (long)random.Next(Classes))];
    }

    /// <summary>Four stages of two blocks; from the second stage on the first block halves the picture.</summary>
    public static IReadOnlyList<(string Name, int Inputs, int Outputs, int Stride)> Stages => ResNet18.Blocks;

    public override string Title =>
        string.Create(CultureInfo.InvariantCulture, $"ResNet18, batch {_rows} × 3 × {Side} × {Side}");

    public override string ModelFile => "resnet18.onnx";

    public override int StepsARun => 1;

    public override byte[] Model => _made.Value.Model;

    public override IReadOnlyDictionary<string, TensorData> Weights => _made.Value.Weights;

    protected override long[] Labels { get; }

    protected override Batch AddInputs(Batch batch) => batch.Add("image", _images, _rows, 3, Side, Side);

    public override TorchTraining NewPeer(IEnumerable<(string Name, torch.Tensor Value)> weights) =>
        new TorchPictures(weights, Trains, _images, Labels, IsHeadOnly, LearningRate);

    private static (byte[], Dictionary<string, TensorData>) Make()
    {
        var model = OnnxModel.Create("resnet18", Opset);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        var weights = new ModelWeights(graph);
        Value x = graph.AddInput("image", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 3, Side, Side));
        x = g.Op("Relu", [Norm(Convolve(x, "conv1", 3, StemWidth, 7, 2), "bn1", StemWidth)]);
        x = g.Op("MaxPool", [x], ("kernel_shape", new long[] { 3, 3 }), ("strides", new long[] { 2, 2 }),
            ("pads", new long[] { 1, 1, 1, 1 }));
        foreach ((string name, int inputs, int outputs, int stride) in Stages)
        {
            Value skip = stride == 1 ? x
                : Norm(Convolve(x, $"{name}.downsample.0", inputs, outputs, 1, stride), $"{name}.downsample.1", outputs);
            Value y = g.Op("Relu", [Norm(Convolve(x, $"{name}.conv1", inputs, outputs, 3, stride), $"{name}.bn1", outputs)]);
            x = g.Op("Relu", [g.Add(Norm(Convolve(y, $"{name}.conv2", outputs, outputs, 3, 1), $"{name}.bn2", outputs), skip)]);
        }
        int width = Stages[^1].Outputs;
        Value features = g.Op("Flatten", [g.Op("GlobalAveragePool", [x])], ("axis", 1L));
        Value logits = g.Op("Gemm",
            [features, weights.Matrix($"{Head}weight", width, Classes, width), weights.Vector($"{Head}bias", Classes, 0)], ("transB", 1L));
        graph.Outputs.Add(g.Named(logits, "logits"));
        return (GraphWriter.ToBytes(model), weights.All);

        Value Convolve(Value input, string name, int from, int to, int size, int stride)
        {
            long pad = size / 2;
            return g.Op("Conv", [input, weights.Matrix($"{name}.weight", from * size * size, to, from, size, size)],
                ("kernel_shape", new long[] { size, size }), ("strides", new long[] { stride, stride }),
                ("pads", new[] { pad, pad, pad, pad }));
        }

        // Running statistics are state of the graph, which the peer has of its own.
        Value Norm(Value input, string name, int size) => g.Op("BatchNormalization",
            [input, weights.Vector($"{name}.weight", size, 1), weights.Vector($"{name}.bias", size, 0),
                graph.AddInitializer($"{name}.running_mean", TensorData.From<float>(new float[size], size)),
                graph.AddInitializer($"{name}.running_var", TensorData.From<float>(Enumerable.Repeat(1f, size).ToArray(), size))]);
    }
}
