using System.Globalization;
using OrtCpr.Benchmarks.Harness;
using OrtCpr.Benchmarks.Peers;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;
using TorchSharp;

namespace OrtCpr.Benchmarks.Sides;

/// <summary>Next-token training of a small GPT2 on random tokens; every matrix is constrained.</summary>
/// <param name="batch">Rows of the batch.</param>
/// <param name="rule">Optimizer of our side; null for AdamCPR with a bound a little below where training starts, so that λ > 0.</param>
internal sealed class GptTask(int batch = 8, UpdateRule? rule = null) : TrainingTask
{
    public const double LearningRate = 1e-4;
    public const int Heads = 4;

    private const int Sequence = 128;

    private readonly (long[] Tokens, long[] Targets) _rows = RandomTokens.Draw(batch, Sequence, Gpt2Shapes.Small.Vocabulary);

    public override string Name => "gpt";

    public override string Title =>
        string.Create(CultureInfo.InvariantCulture, $"training steps of a GPT2 of 5.4 M parameters, batch {batch} × {Sequence}");

    public override string ModelFile => "gpt2_5m.onnx";

    public override double Goal => Machine.HasAvx512 ? 2.5 : 1.5;

    public override int StepsARun => 4;

    public override IReadOnlyList<(string Name, long[] Dimensions)> Parameters => Gpt2Shapes.Small.List();

    public override NamePattern? Blocks => "/model/transformer/h.*/*";

    public override TrainingOptions Options => new()
    {
        Optimizer = new OptimizerOptions { Groups = [rule ?? OurSides.ActiveAdamCpr(LearningRate)] },
        Parameters = new ParameterOptions { RegularizeEmbeddings = true },
    };

    public override Batch NewBatch() => RandomTokens.ToBatch(_rows.Tokens, _rows.Targets, batch);

    public override TorchTraining NewPeer(IEnumerable<(string Name, torch.Tensor Value)> weights) =>
        new TorchGpt(weights, Gpt2Shapes.Small.Blocks, Heads, batch, _rows.Tokens, _rows.Targets, LearningRate);
}
