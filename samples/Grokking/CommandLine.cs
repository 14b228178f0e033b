using System.Text;
using OrtCpr.Graph.Optimizers;

namespace Grokking;

// Reads a command line the way the authors' script does (Python's argparse): underscores and dashes are equal in names, and the beginning of a name is
// enough where only one option begins so. All problems are found at once.
internal sealed class CommandLine
{
    private readonly List<string> _problems = [];
    private readonly List<string> _notes = [];
    private readonly HashSet<string> _given = [];

    private CommandLine()
    {
    }

    public Options Options { get; private set; } = new();

    public bool Help { get; private set; }

    public IReadOnlyList<string> Problems => _problems;

    // What the user should know of options that have no effect.
    public IReadOnlyList<string> Notes => _notes;

    public static string Usage
    {
        get
        {
            var text = new StringBuilder("Trains a small transformer on (x + y) mod 113 until it groks. Options:");
            foreach (OptionSpec spec in OptionTable.All) text.Append($"\n  {$"--{spec.Name} {spec.Value}",-40} {spec.Help}");
            return text.Append("\n  --help").ToString();
        }
    }

    public static CommandLine Parse(IReadOnlyList<string> args)
    {
        var line = new CommandLine();
        line.Read(args);
        if (!line.Help) line.CheckTogether();
        return line;
    }

    private void Read(IReadOnlyList<string> args)
    {
        for (int i = 0; i < args.Count;)
        {
            string word = args[i++];
            if (word is "--help" or "-h")
            {
                Help = true;
                continue;
            }
            if (!IsName(word))
            {
                _problems.Add($"'{word}' stands where an option was expected.");
                continue;
            }
            // Values are what follows up to the next option, as in "--betas 0.9 0.98".
            int equals = word.IndexOf('=', StringComparison.Ordinal);
            List<string> values = equals < 0 ? [] : [word[(equals + 1)..]];
            if (equals >= 0) word = word[..equals];
            while (equals < 0 && i < args.Count && !IsName(args[i]) && args[i] != "-h") values.Add(args[i++]);
            if (Find(word) is OptionSpec spec) Apply(spec, values);
        }
    }

    private static bool IsName(string word) => word.StartsWith("--", StringComparison.Ordinal);

    private OptionSpec? Find(string word)
    {
        string name = word[2..].Replace('-', '_');
        OptionSpec[] found = [.. OptionTable.All.Where(o => o.Name == name)];
        if (found.Length == 0 && name.Length > 0) found = [.. OptionTable.All.Where(o => o.Name.StartsWith(name, StringComparison.Ordinal))];
        if (found.Length == 1) return found[0];
        _problems.Add(found.Length == 0 ? $"Unknown option '{word}'." : $"'{word}' is ambiguous: {string.Join(", ", found.Select(f => $"--{f.Name}"))}.");
        return null;
    }

    private void Apply(OptionSpec spec, List<string> values)
    {
        _given.Add(spec.Name);
        if (values.Count == 0 && !spec.IsSwitch)
        {
            _problems.Add($"--{spec.Name} has no value; expected {spec.Expected}.");
            return;
        }
        string text = values.Count == 0 ? "true" : string.Join(',', values);
        if (spec.Apply(Options, text) is Options changed) Options = changed;
        else _problems.Add($"--{spec.Name} is '{text}'; expected {spec.Expected}.");
    }

    // What no option can see alone.
    private void CheckTogether()
    {
        Recipe recipe = Options.Recipe;
        if (Options.Compare && OptionTable.RecipeOptions.Where(o => _given.Contains(o.Name)).Select(o => $"--{o.Name}").ToArray() is { Length: > 0 } chosen)
            _problems.Add($"--compare chooses the optimizers itself; leave out {string.Join(", ", chosen)}.");
        if (new[] { "seed", "seeds", "reference_seed" }.Where(_given.Contains).ToArray() is { Length: > 1 } seeds)
            _problems.Add($"Give one of {string.Join(", ", seeds.Select(s => $"--{s}"))}.");
        int trained = ModularAddition.TrainingCount(Options.P, Options.TrainFraction);
        if (trained < 1) _problems.Add($"--train_fraction {Options.TrainFraction} of {Options.P * Options.P} pairs leaves nothing to train on.");
        if (Options.FromReference && (Options.P, Options.TrainFraction, Options.BatchSize) != (Options.ModelModulus, 0.3, 512))
            _problems.Add("--reference_seed goes with the reference's task only: leave out --p, --train_fraction and --batch_size.");
        if (recipe.Optimizer == OptimizerKind.AdamCpr) CheckBounds(recipe, (long)Options.Epochs * ((trained + Options.BatchSize - 1) / Options.BatchSize));
        else NoteUnused("is for adamcpr", "reg_function", "kappa_init_method", "kappa_init_param", "kappa_update", "reg_step_size", "reg_ema_decay", "reg_by_lr");
        if (recipe.Optimizer == OptimizerKind.Adam && _given.Contains("weight_decay") && recipe.WeightDecay != 0) _problems.Add("--optimizer adam has no weight decay; take adamw, or leave out --weight_decay.");
        if (recipe.Optimizer == OptimizerKind.AdamCpr) NoteUnused("is for adamw", "weight_decay");
        NoteUnused("does nothing, as in the authors' script", "kappa_adapt");
    }

    private void CheckBounds(Recipe recipe, long steps)
    {
        double? param = recipe.KappaParam;
        switch (recipe.KappaInitMethod)
        {
            case KappaInitMethod.Uniform when param is null:
                _problems.Add("--kappa_init_method uniform needs the bound itself: give --kappa_init_param, at least 0.");
                break;
            case KappaInitMethod.Dependent when param <= 0:
                _problems.Add($"--kappa_init_param is {param}; expected, for dependent, a factor above 0.");
                break;
            case KappaInitMethod.WarmStart when param < 1 || param % 1 != 0 || param >= steps:
                _problems.Add($"--kappa_init_param is {param}; expected, for warm_start, whole steps of at least 1 and fewer than the {steps} of the run.");
                break;
            case KappaInitMethod.InflectionPoint when 4 * recipe.RegStepSize > steps:
                _problems.Add($"--reg_step_size is {recipe.RegStepSize}; inflection_point takes four samples before it can set a bound, and the run has {steps} steps.");
                break;
            default:
                break;
        }
    }

    private void NoteUnused(string why, params string[] names)
    {
        foreach (string name in names.Where(_given.Contains)) _notes.Add($"--{name} {why} and has no effect here.");
    }
}
