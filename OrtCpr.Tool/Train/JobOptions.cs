using System.CommandLine;
using OrtCpr.Graph;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Tool.Train;

// The options of every command that builds a job: loss, optimizer, parameters. Names are those of the paper's scripts.
internal sealed class JobOptions
{
    internal static readonly Dictionary<string, Func<string?, Loss>> Losses = new(StringComparer.Ordinal)
    {
        ["cross_entropy"] = output => new CrossEntropyLoss { Output = output },
        ["mse"] = output => new MseLoss { Output = output },
        ["l1"] = output => new L1Loss { Output = output },
        ["huber"] = output => new HuberLoss { Output = output },
        ["bce_with_logits"] = output => new BceWithLogitsLoss { Output = output },
        ["output"] = output => new OutputLoss { Output = output },
    };

    private readonly Option<string> _loss =
        new("--loss") { Description = $"One of {string.Join(", ", Losses.Keys)}.", DefaultValueFactory = _ => "cross_entropy" };
    private readonly Option<string?> _output =
        new("--output") { Description = "The model output that the loss takes; needed where there are several." };
    private readonly RuleOptions _rule = new("adamcpr");
    private readonly Option<double> _beta1 =
        new("--beta1") { Description = "Decay of Adam's first moment.", DefaultValueFactory = _ => 0.9 };
    private readonly Option<double> _beta2 =
        new("--beta2") { Description = "Decay of Adam's second moment.", DefaultValueFactory = _ => 0.999 };
    private readonly Option<double> _smoothing =
        new("--label-smoothing") { Description = "cross_entropy: share of the target that is spread over the classes." };
    private readonly Option<double> _clip = new("--max-grad-norm") { Description = "Clips the gradients' global norm; 0 for no clipping." };
    private readonly Option<string[]> _freeze =
        new("--freeze") { Description = "Names of parameters that are not trained; * and ? and regex: are understood." };
    private readonly Option<bool> _embeddings = new("--reg-embedding") { Description = "Constrains embedding tables too." };
    private readonly Option<bool> _tie =
        new("--tie") { Description = "Trains initializers with equal or transposed numbers as one parameter." };
    private readonly Option<string[]> _recompute =
        new("--recompute")
        {
            Description = "Names of nodes whose results are computed again on the way back instead of kept, such as "
                + "'/layers.*/*'; each text that the first * stands for is a block."
        };
    private readonly Option<int> _seed =
        new("--seed") { Description = "Seed of the shuffles, and of weights that the file only describes." };

    public void AddTo(Command command)
    {
        command.Add(_loss);
        command.Add(_output);
        _rule.AddTo(command);
        foreach (Option option in new Option[] { _beta1, _beta2, _smoothing, _clip, _freeze, _embeddings, _tie, _recompute, _seed })
        {
            command.Add(option);
        }
    }

    public int Seed(ParseResult r) => r.GetValue(_seed);

    // What the words say. `steps`: length of the run where it is known.
    // optimizer, seed: in place of the words', where several runs are compared.
    public TrainingOptions Read(ParseResult r, long? steps, string? optimizer = null, int? seed = null) => new()
    {
        Loss = RuleOptions.Choose(Losses, r.GetValue(_loss)!, "--loss")(r.GetValue(_output)) is CrossEntropyLoss entropy
            ? entropy with { LabelSmoothing = r.GetValue(_smoothing) }
            : Losses[r.GetValue(_loss)!.Replace('-', '_').ToLowerInvariant()](r.GetValue(_output)),
        Seed = seed ?? r.GetValue(_seed),
        Recompute = [.. (r.GetValue(_recompute) ?? []).Select(NamePattern.FromString)],
        Parameters = new ParameterOptions
        {
            Freeze = [.. (r.GetValue(_freeze) ?? []).Select(NamePattern.FromString)],
            RegularizeEmbeddings = r.GetValue(_embeddings),
            TieEqual = r.GetValue(_tie)
        },
        Optimizer = new OptimizerOptions
        {
            Groups = [_rule.Read(r,
            new ScaleByAdam { Beta1 = r.GetValue(_beta1), Beta2 = r.GetValue(_beta2) }, optimizer)],
            MaxGradientNorm = r.GetValue(_clip),
            TotalSteps = steps
        },
    };
}
