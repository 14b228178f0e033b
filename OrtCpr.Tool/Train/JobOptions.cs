using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Tool.Train;

// The options of every command that builds a job: loss, optimizer, parameters. Names are those of the paper's scripts.
internal sealed class JobOptions
{
    private readonly LossOptions _loss = new();
    private readonly RuleOptions _rule = new("adamcpr");
    private readonly Option<double> _beta1 =
        new("--beta1") { Description = "Decay of Adam's first moment.", DefaultValueFactory = _ => 0.9 };
    private readonly Option<double> _beta2 =
        new("--beta2") { Description = "Decay of Adam's second moment.", DefaultValueFactory = _ => 0.999 };
    private readonly Option<double> _clip = new("--max-grad-norm") { Description = "Clips the gradients' global norm; 0 for no clipping." };
    private readonly Option<double> _layerDecay = new("--layer-decay")
    {
        Description = "What each layer has of the learning rate of the layer above it, as 0.75; the head has the whole.",
        DefaultValueFactory = _ => 1,
    };
    private readonly Option<string[]> _layers = new("--layer")
    {
        Description = "--layer-decay: names of a layer's parameters or nodes; with several * each text that the first stands for is a "
            + "layer, as in 'encoder.layer.*.*'. By default the numbers in names tell.",
    };
    private readonly Option<string[]> _freeze =
        new("--freeze") { Description = "Names of parameters that are not trained; * and ? and regex: are understood." };
    private readonly Option<string[]> _train =
        new("--train") { Description = "Names of parameters that are trained even where the model suggests a constant; as --freeze." };
    private readonly Option<string[]> _trainOnly =
        new("--train-only") { Description = "Trains these parameters and no others; as --freeze." };
    private readonly Option<string> _normalization = new("--batch-normalization")
    {
        Description = "Batch normalisation while training: as-exported, training (statistics of the batch), inference (stored ones).",
        DefaultValueFactory = _ => "as-exported",
    };
    private readonly Option<bool> _synchronize = new("--sync-batch-normalization")
    {
        Description = "Under mpirun: batch normalisation by the examples of all processes together.",
    };
    private readonly Option<string> _dropout = new("--dropout")
    {
        Description = "Dropout while training: as-exported, training (all nodes drop), inference (none does).",
        DefaultValueFactory = _ => "as-exported",
    };
    private readonly Option<bool> _keepBatch =
        new("--keep-batch") { Description = "Keeps the fixed batch that the model was exported with, in place of freeing it." };
    private readonly Option<string[]> _batchAxes = new("--batch-axis")
    {
        Description = "INPUT=AXIS, as state=1: where an input has its batch, if it is not the first axis; -1 for none.",
    };
    private readonly Option<bool> _straight =
        new("--straight-through") { Description = "Lets rounding pass gradients as if it were not there." };
    private readonly Option<bool> _embeddings = new("--reg-embedding") { Description = "Constrains embedding tables too." };
    private readonly Option<bool> _tie =
        new("--tie") { Description = "Trains initializers with equal or transposed numbers as one parameter." };
    private readonly Option<string[]> _recompute =
        new("--recompute")
        {
            Description = "Names of nodes whose results are computed again on the way back instead of kept, such as "
                + "'/layers.*/*'; each text that the first * stands for is a block."
        };
    private readonly Option<string> _precision = PrecisionText.NewOption();
    private readonly Option<int> _seed =
        new("--seed") { Description = "Seed of the shuffles, and of weights that the file only describes." };

    public void AddTo(Command command)
    {
        _loss.AddTo(command);
        _rule.AddTo(command);
        foreach (Option option in new Option[] { _beta1, _beta2, _clip, _layerDecay, _layers, _freeze, _train, _trainOnly, _normalization,
            _synchronize, _dropout, _keepBatch, _batchAxes, _straight, _embeddings, _tie, _recompute, _precision, _seed })
        {
            command.Add(option);
        }
    }

    public int Seed(ParseResult r) => r.GetValue(_seed);

    // What the words say. `steps`: length of the run where it is known.
    // optimizer, seed: in place of the words', where several runs are compared.
    public TrainingOptions Read(ParseResult r, long? steps, string? optimizer = null, int? seed = null, DataSource? data = null) => new()
    {
        Loss = _loss.Read(r, data),
        BatchNormalization = Mode<BatchNormalizationMode>(r.GetValue(_normalization)!, "--batch-normalization"),
        SynchronizeBatchNormalization = r.GetValue(_synchronize),
        Dropout = Mode<DropoutMode>(r.GetValue(_dropout)!, "--dropout"),
        FreeBatch = !r.GetValue(_keepBatch),
        BatchAxes = Axes(r.GetValue(_batchAxes) ?? []),
        Rules = r.GetValue(_straight) ? GradientRules.Default.StraightThrough() : GradientRules.Default,
        Seed = seed ?? r.GetValue(_seed),
        Precision = PrecisionText.Read(r.GetValue(_precision)!),
        Recompute = [.. (r.GetValue(_recompute) ?? []).Select(NamePattern.FromString)],
        Parameters = new ParameterOptions
        {
            Freeze = [.. (r.GetValue(_freeze) ?? []).Select(NamePattern.FromString)],
            Train = [.. (r.GetValue(_train) ?? []).Select(NamePattern.FromString)],
            TrainOnly = [.. (r.GetValue(_trainOnly) ?? []).Select(NamePattern.FromString)],
            RegularizeEmbeddings = r.GetValue(_embeddings),
            TieEqual = r.GetValue(_tie)
        },
        Optimizer = new OptimizerOptions
        {
            Groups = [_rule.Read(r,
            new ScaleByAdam { Beta1 = r.GetValue(_beta1), Beta2 = r.GetValue(_beta2) }, optimizer)],
            LayerDecay = ReadLayerDecay(r),
            MaxGradientNorm = r.GetValue(_clip),
            TotalSteps = steps
        },
    };

    // What the loss is, in the words of the command line.
    public string LossOf(ParseResult r) => _loss.Text(r);

    private LayerDecay? ReadLayerDecay(ParseResult r)
    {
        double factor = r.GetValue(_layerDecay);
        string[] layers = r.GetValue(_layers) ?? [];
        if (!(factor is > 0 and <= 1))
        {
            throw new ToolException($"--layer-decay is {factor.ToString(CultureInfo.InvariantCulture)}; expected above 0 and at most 1, "
                + "such as 0.75.");
        }
        if (factor == 1 && layers.Length > 0) throw new ToolException("--layer says what a layer of --layer-decay is; give that too.");
        return factor == 1 ? null : new LayerDecay { Factor = factor, Layers = [.. layers.Select(NamePattern.FromString)] };
    }

    private static ImmutableDictionary<string, int> Axes(string[] texts)
    {
        ImmutableDictionary<string, int>.Builder axes = ImmutableDictionary.CreateBuilder<string, int>(StringComparer.Ordinal);
        foreach (string text in texts)
        {
            int at = text.LastIndexOf('=');
            if (at <= 0 || !int.TryParse(text.AsSpan(at + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int axis))
                throw new ToolException($"--batch-axis '{text}': expected INPUT=AXIS, as state=1, or state=-1 for no batch.");
            axes[text[..at]] = axis;
        }
        return axes.ToImmutable();
    }

    private static T Mode<T>(string text, string option) where T : struct, Enum =>
        RuleOptions.Choose(Enum.GetValues<T>().ToDictionary(v => v.ToString() == "AsExported" ? "as_exported"
            : v.ToString().ToLowerInvariant(), v => v, StringComparer.Ordinal), text, option);
}
