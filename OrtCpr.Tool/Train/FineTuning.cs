using System.CommandLine;
using System.Globalization;
using OrtCpr.Graph;
using OrtCpr.Graph.Adapters;
using OrtCpr.Graph.Heads;
using OrtCpr.Graph.Parameters;
using OrtCpr.Graph.Passes;
using OrtCpr.Tool.Heads;

namespace OrtCpr.Tool.Train;

// What is changed of a model before it is trained (a new head, adapters), and what of it is trained when.
internal sealed class FineTuning
{
    private readonly Option<string?> _lora =
        new("--lora")
        {
            Description = "Trains low-rank adapters alone, as r=8 or r=8,alpha=16,targets=layers.*;head.*; writes merged.onnx "
                + "too where no weight with an adapter is quantised."
        };
    private readonly Option<string?> _head =
        new("--head")
        {
            Description = "Replaces the model's last linear layer before training, as classes=5 or classes=5,pool=cls,dropout=0.1,"
                + "at=NAME,keep; see ortcpr head."
        };
    private readonly Option<bool> _freezeBody =
        new("--freeze-body")
        {
            Description = "Trains the parameters of the new head alone, of --head or of a model that ortcpr head wrote; batch "
                + "normalisation keeps its stored statistics."
        };
    private readonly Option<long?> _unfreezeAt =
        new("--unfreeze-at") { Description = "With --freeze-body: trains everything after so many epochs of the head alone." };
    private readonly Option<bool> _cache =
        new("--cache-features")
        {
            Description = "With --freeze-body: computes what the head reads once, and trains the head on that. Takes a file of a vector "
                + "for each example in OUT while it trains."
        };

    public void AddTo(Command command)
    {
        foreach (Option option in new Option[] { _head, _freezeBody, _unfreezeAt, _cache, _lora }) command.Add(option);
    }

    public bool HasAdapters(ParseResult r) => r.GetValue(_lora) is not null;

    public bool CachesFeatures(ParseResult r) => r.GetValue(_cache);

    public DenseHead? Head(ParseResult r) => r.GetValue(_head) is string words ? HeadText.Parse(words, "--head").Head : null;

    // What contradicts itself, before anything is read or made. epochs: of the run.
    public void Check(ParseResult r, long epochs, bool augments)
    {
        var problems = new List<string>();
        if (r.GetValue(_unfreezeAt) is long at)
        {
            if (!r.GetValue(_freezeBody)) problems.Add("--unfreeze-at says when the body of --freeze-body is trained; give that too");
            if (at < 1)
            {
                problems.Add($"--unfreeze-at is {at}; expected at least 1 epoch of the head alone");
            }
            else if (at >= epochs)
            {
                problems.Add(string.Create(CultureInfo.InvariantCulture,
                    $"--unfreeze-at is {at} in a run of {epochs} epochs, whose body would stay frozen; give more --epochs"));
            }
            if (r.GetValue(_lora) is not null)
                problems.Add("--unfreeze-at and --lora exclude each other: with adapters the body stays as it is");
        }
        if (r.GetValue(_cache))
        {
            if (!r.GetValue(_freezeBody)) problems.Add("--cache-features is for a frozen body; give --freeze-body too");
            if (r.GetValue(_unfreezeAt) is not null)
                problems.Add("--cache-features and --unfreeze-at exclude each other: features of a body that is trained change");
            if (r.GetValue(_lora) is not null) problems.Add("--cache-features and --lora exclude each other: adapters change the features");
            if (augments)
                problems.Add("--cache-features and --augment exclude each other: each epoch would see the same augmented examples");
        }
        if (problems.Count > 0) throw new ToolException($"{string.Join("; ", problems)}.");
    }

    // Epochs in which the head alone is trained, before everything is; 0 for none.
    public long EpochsOfHead(ParseResult r) => r.GetValue(_unfreezeAt) ?? 0;

    public Option CacheOption => _cache;

    // The model with a head and adapters of its own, in the folder of the run.
    public void Write(ParseResult r, string model, int seed, string folder)
    {
        if (r.GetValue(_head) is string text)
        {
            (DenseHead head, string? at) = HeadText.Parse(text, "--head");
            ModelHead.Replace(model, Headed(folder), at, head with { Seed = seed });
            model = Headed(folder);
        }
        if (r.GetValue(_lora) is string lora) LoraAdapters.Attach(model, Adapted(folder), LoraText.Parse(lora) with { Seed = seed });
    }

    // The model that has been written so, and what of it is trained.
    public (string Model, TrainingOptions Options) Apply(ParseResult r, string model, TrainingOptions options, string folder)
    {
        var only = new List<NamePattern>();
        if (r.GetValue(_head) is not null)
        {
            model = Headed(folder);
            // Adapters stand beside the body's weights; a head that was just drawn is trained as a whole.
            if (r.GetValue(_lora) is not null) only.AddRange(ModelHead.Parameters(model));
        }
        if (r.GetValue(_freezeBody))
        {
            if (options.Parameters.TrainOnly.Length > 0)
                throw new ToolException("--freeze-body and --train-only both say what is trained; give one of them.");
            IReadOnlyList<NamePattern> head = ModelHead.Parameters(model);
            if (r.GetValue(_unfreezeAt) is null) only.AddRange(head);
            if (options.BatchNormalization == BatchNormalizationMode.AsExported)
                options = options with { BatchNormalization = BatchNormalizationMode.Inference };
        }
        if (r.GetValue(_lora) is not null)
        {
            model = Adapted(folder);
            only.Add(LoraAdapters.Parameters);
        }
        return (model, only.Count == 0 ? options
            : options with { Parameters = options.Parameters with { TrainOnly = [.. only.DistinctBy(p => p.Text)] } });
    }

    private static string Headed(string folder) => Path.Combine(folder, "headed.onnx");

    private static string Adapted(string folder) => Path.Combine(folder, "adapted.onnx");

    // Freezes the body at first, where it is trained later.
    public TrainerCallback? Callback(ParseResult r, string model, TrainingPlan plan)
    {
        if (r.GetValue(_unfreezeAt) is not long epoch) return null;
        IReadOnlyList<NamePattern> head = ModelHead.Parameters(model);
        string[] body = [.. plan.Trained.Select(p => p.Name).Where(n => !head.Any(h => h.Matches(n)))];
        return body.Length == 0 ? null : new FreezeUntilEpoch(epoch, [.. body.Select(NamePattern.FromString)]);
    }

    // A model of which some adapters are left is not merged, and nobody should take it for that.
    public static void Merge(string folder)
    {
        string model = Path.Combine(folder, "model.onnx"), merged = Path.Combine(folder, "merged.onnx");
        IReadOnlyList<string> quantised = LoraAdapters.Quantised(model);
        if (quantised.Count == 0)
        {
            LoraAdapters.Merge(model, merged);
            return;
        }
        // That of an earlier run has other weights.
        File.Delete(merged);
        Console.Error.WriteLine($"merged.onnx is not written: {string.Join(", ", quantised.Take(5))}"
            + $"{(quantised.Count > 5 ? $" and {quantised.Count - 5} more" : "")} are quantised, and an adapter cannot be added to such a "
            + $"weight. '{model}' has the adapters beside the weights and computes the trained model.");
    }
}
