using System.CommandLine;
using System.Globalization;
using OrtCpr.Graph.Optimizers;
using Samples;

namespace Grokking;

/// <summary>Options of the authors' script and ours.</summary>
internal static class CommandLine
{
    // Options of the authors' script that the model file decides (biases are never decayed or bounded, and there are no norms).
    private static readonly (string Name, string[] Accepted)[] OfTheModel =
    [
        ("exclude-reg", ["bias,norm"]), ("model-dim", ["128"]), ("num-layers", ["1"]), ("num-heads", ["4"]), ("use-ln", ["false", "False"]),
        ("init-type", ["sqrt_dim"]), ("train-shuffle", ["true", "True"]),
    ];

    /// <summary>Reads a command line and does what it asks for; gives the exit code.</summary>
    public static int Run(string[] words, Func<Settings, CancellationToken, int> run) => SampleProgram.Run(Create(run), words);

    private static RootCommand Create(Func<Settings, CancellationToken, int> run)
    {
        Recipe r = new();
        Settings s = new();
        Option<string> optimizer = SampleProgram.Option("optimizer", "adamcpr, adamw, or adam, which is adamw without decay", r.Optimizer);
        optimizer.AcceptOnlyFromAmong("adamcpr", "adamw", "adam");
        Option<double> lr = SampleProgram.Option("lr", "learning rate, constant", r.Lr);
        Option<double> beta1 = SampleProgram.Option("beta1", "Adam", r.Beta1), beta2 = SampleProgram.Option("beta2", "Adam", r.Beta2);
        Option<string[]> betas = new("--betas") { Description = "both at once: 0.9,0.98", AllowMultipleArgumentsPerToken = true };
        Option<double> decay = SampleProgram.Option("weight-decay", "of adamw", r.WeightDecay);
        Option<double> alpha =
            SampleProgram.Option("rescale-alpha", "multiply the weights by this once and keep their total norm; 0: off", 0.0);
        Option<Regularizer> function = SampleProgram.Option("reg-function", "measure that is bounded: l2, l1, std or huber", r.RegFunction);
        Option<string> method =
            SampleProgram.Option("kappa-init-method", "where bounds come from: uniform, dependent, warm_start or inflection_point",
            r.KappaInitMethod);
        method.AcceptOnlyFromAmong([.. Bound.Methods, "depended"]);
        Option<double?> parameter =
            new("--kappa-init-param")
            {
                Description = "uniform: the bound; dependent: factor on the first R (default 0.8); warm_start: "
                    + "steps (default 1000)"
            };
        Option<double> update = SampleProgram.Option("kappa-update", "rate of the multipliers", r.KappaUpdate);
        Option<long> interval = SampleProgram.Option("reg-step-size", "inflection_point: steps between samples", r.RegStepSize);
        Option<double> average = SampleProgram.Option("reg-ema-decay", "inflection_point: decay of the average over samples", 0.0);
        Option<bool> embedding = SampleProgram.Option("reg-embedding", "bound or decay embeddings too", true);
        Option<bool> byRate = SampleProgram.Option("reg-by-lr", "multiply the constraint's step by the learning rate", false);
        Option<bool> adapt = SampleProgram.Option("kappa-adapt", "accepted and without effect, as in the authors' script", false);
        Option[] ofTheRecipe =
            [optimizer, lr, beta1, beta2, betas, decay, alpha, function, method, parameter, update, interval, average, embedding, byRate,
            adapt];

        Option<string[]> seed =
            new("--seed", "--seeds")
            {
                Description = "split, first weights and shuffles; several, as 1,2, are runs one after the other; "
                    + "default 1",
                AllowMultipleArgumentsPerToken = true
            };
        Option<string[]> reference = new("--reference-seed")
        {
            Description = "1, 2 or 1,2: split, weights and first ten shuffles of the "
                + "PyTorch reference",
            AllowMultipleArgumentsPerToken = true
        };
        Option<int> epochs = SampleProgram.Option("epochs", "at most so many", s.Epochs),
            batch = SampleProgram.Option("batch-size", "examples a batch", s.BatchSize);
        Option<int> p = SampleProgram.Option("p", "modulus, 2 to 113", s.P);
        Option<double> fraction = SampleProgram.Option("train-fraction", "share of the pairs that is trained on", s.TrainFraction);
        Option<int> evaluate =
            SampleProgram.Option("eval-every", "epochs between evaluations; 0: every epoch up to 50, then every fifth", 0);
        evaluate.Aliases.Add("--log-interval");
        Option<int> save = SampleProgram.Option("save-every", "epochs between checkpoints", s.SaveEvery),
            threads = SampleProgram.Option("threads", "0 for one a physical core", 0);
        Option<string> device = SampleProgram.Option("device", "cpu, cuda, cuda:N or webgpu:PATH", s.Device),
            output = SampleProgram.Option("out", "folder for all files", s.Out);
        output.Aliases.Add("--output-dir");
        Option<bool> compare =
            SampleProgram.Option("compare",
            "AdamW with decay 0.1, 0.3 and 1.0, Adam with rescaling, AdamCPR l2 and std in one figure and table", false);
        Option<bool> resume = SampleProgram.Option("resume", "go on from the checkpoint in the folder, bit for bit", false);

        RootCommand root = new("Trains a small transformer on (x + y) mod 113 until it groks, by the authors' command lines.");
        foreach (Option option in (Option[])[.. ofTheRecipe, seed, reference, epochs, batch, p, fraction, evaluate, save, threads, device,
            output, compare, resume])
        {
            root.Add(option);
        }
        foreach ((string name, string[] accepted) in OfTheModel)
        {
            Option<string> option = SampleProgram.Option(name, "a property of the model file", accepted[0]);
            option.AcceptOnlyFromAmong(accepted);
            root.Add(option);
        }
        root.SetAction((line, cancellation) =>
        {
            var problems = new List<string>();
            double[] both = Numbers(line.GetValue(betas), "--betas", problems);
            if (both.Length is not (0 or 2)) problems.Add($"--betas has {both.Length} numbers; expected two, as 0.9,0.98");
            bool IsGiven(Option option) => line.GetResult(option) is { Implicit: false };
            double[] seeds = Numbers(line.GetValue(IsGiven(reference) ? reference : seed), "--seed", problems);
            if (seeds.Any(n => n % 1 != 0)) problems.Add("--seed: expected whole numbers");
            Settings settings = new()
            {
                Recipe = new Recipe
                {
                    Optimizer = line.GetValue(optimizer)!,
                    Lr = line.GetValue(lr),
                    Beta1 = both.Length == 2 ? both[0] : line.GetValue(beta1),
                    Beta2 = both.Length == 2 ? both[1] : line.GetValue(beta2),
                    WeightDecay = line.GetValue(decay),
                    RescaleAlpha = line.GetValue(alpha),
                    RegFunction = line.GetValue(function),
                    KappaInitMethod = line.GetValue(method)!.Replace("depended", "dependent", StringComparison.Ordinal),
                    KappaInitParam = line.GetValue(parameter),
                    KappaUpdate = line.GetValue(update),
                    RegStepSize = line.GetValue(interval),
                    RegEmaDecay = line.GetValue(average),
                    RegEmbedding = line.GetValue(embedding),
                    RegByLr = line.GetValue(byRate),
                },
                Seeds = seeds.Length == 0 ? s.Seeds : [.. seeds.Select(n => (long)n)],
                FromReference = IsGiven(reference),
                Epochs = line.GetValue(epochs),
                BatchSize = line.GetValue(batch),
                P = line.GetValue(p),
                TrainFraction = line.GetValue(fraction),
                EvalEvery = line.GetValue(evaluate),
                SaveEvery = line.GetValue(save),
                Threads = line.GetValue(threads),
                Device = line.GetValue(device)!,
                Out = line.GetValue(output)!,
                Compare = line.GetValue(compare),
                Resume = line.GetValue(resume),
            };
            if (IsGiven(seed) && IsGiven(reference)) problems.Add("give one of --seed and --reference_seed");
            string chosen = string.Join(", ", ofTheRecipe.Where(IsGiven).Select(o => o.Name));
            if (settings.Compare && chosen.Length > 0) problems.Add($"--compare chooses the optimizers itself; leave out {chosen}");
            if (settings.Recipe.Optimizer == "adam" && IsGiven(decay) && settings.Recipe.WeightDecay != 0)
            {
                problems.Add("--optimizer adam has no weight decay; take adamw, or leave out --weight_decay");
            }
            Check(settings, problems);
            if (problems.Count > 0) throw new SampleException($"The command line makes no sense: {string.Join("; ", problems)}.");
            return Task.FromResult(run(settings, cancellation));
        });
        return root;
    }

    private static void Check(Settings s, List<string> problems)
    {
        foreach ((string name, int value, int least) in new[] { ("epochs", s.Epochs, 1), ("batch_size", s.BatchSize, 1),
            ("eval_every", s.EvalEvery, 0), ("save_every", s.SaveEvery, 1) })
        {
            if (value < least) problems.Add($"--{name} is {value}; expected at least {least}");
        }
        if (s.P is < 2 or > Settings.ModelModulus)
        {
            problems.Add($"--p is {s.P}; expected 2 to {Settings.ModelModulus}");
        }
        else if (!(s.TrainFraction is > 0 and < 1) || ModularAddition.TrainingCount(s.P, s.TrainFraction) < 1)
        {
            problems.Add(string.Create(CultureInfo.InvariantCulture,
                $"--train_fraction is {s.TrainFraction}; expected a number between 0 and 1 that leaves some of the {s.P * s.P} pairs"));
        }
        if (s.Seeds.Distinct().Count() < s.Seeds.Length) problems.Add("a seed is named twice");
        if (!s.FromReference) return;
        if (s.Seeds.Any(n => n is not (1 or 2))) problems.Add("--reference_seed: expected 1, 2 or 1,2");
        if ((s.P, s.TrainFraction, s.BatchSize) != (Settings.ModelModulus, 0.3, 512))
            problems.Add("--reference_seed goes with the reference's task only: leave out --p, --train_fraction and --batch_size");
    }

    // With commas or spaces between.
    private static double[] Numbers(string[]? words, string option, List<string> problems)
    {
        var numbers = new List<double>();
        foreach (string word in (words ?? []).SelectMany(w => w.Split(',')))
        {
            if (double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out double number)) numbers.Add(number);
            else problems.Add($"{option}: '{word}' is no number");
        }
        return [.. numbers];
    }
}
