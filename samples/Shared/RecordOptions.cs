using System.Collections;
using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using System.Numerics;
using System.Reflection;
using System.Text.Json;

namespace Samples;

// A property that is an option of the command line by its own name, KappaInitParam as --kappa_init_param, and another one where there is
// one. The default is what a new record has.
[AttributeUsage(AttributeTargets.Property)]
internal sealed class OptionAttribute(string text, string? alias = null) : Attribute
{
    public string Text => text;

    public string? Alias => alias;

    // The words that are accepted, with spaces between; null for any.
    public string? Choices { get; init; }

    public double Least { get; init; } = double.NegativeInfinity;

    public double Most { get; init; } = double.PositiveInfinity;

    // Numbers of a list; 0 for any number of them.
    public int Count { get; init; }
}

// An option of the authors' script that the model file decides: accepted where it says what is so. Values have spaces between.
[AttributeUsage(AttributeTargets.Class, AllowMultiple = true)]
internal sealed class FixedOptionAttribute(string name, string values) : Attribute
{
    public string Name => name;

    public string[] Values => values.Split(' ');
}

// A command line as a record: each property with an OptionAttribute is an option, those of a property that is such a record as well.
internal static class RecordOptions
{
    // Gives what is run the record; before that a check may add problems, told which options were given.
    public static int Run<T>(string about, string[] words, Func<T, CancellationToken, int> run,
        Action<T, string[], List<string>>? check = null) where T : class, new()
    {
        T record = new();
        RecordOption[] options = [.. PropertiesOf(record).Select(p => RecordOption.Of(p.Property, p.Owner))];
        RootCommand root = new(about);
        foreach (RecordOption option in options) root.Add(option.Option);
        foreach (FixedOptionAttribute one in typeof(T).GetCustomAttributes<FixedOptionAttribute>())
        {
            Option<string> option = new($"--{one.Name}")
            {
                Description = "decided by the model file",
                DefaultValueFactory = _ => one.Values[0],
            };
            option.AcceptOnlyFromAmong(one.Values);
            root.Add(option);
        }
        root.SetAction((line, cancellation) =>
        {
            var problems = new List<string>();
            RecordOption[] given = [.. options.Where(o => line.GetResult(o.Option) is { Implicit: false })];
            foreach (RecordOption option in given) option.Set(line, problems);
            check?.Invoke(record, [.. given.Select(o => o.Name)], problems);
            if (problems.Count > 0) throw new SampleException($"The command line makes no sense: {string.Join("; ", problems)}.");
            return Task.FromResult(run(record, cancellation));
        });
        return SampleProgram.Run(root, words);
    }

    // The options of a record as a command line has them, such as "--lr" and "0.001".
    public static ImmutableDictionary<string, string> Texts(object record) =>
        PropertiesOf(record).ToImmutableDictionary(p => NameOf(p.Property), p => Text(p.Property.GetValue(p.Owner)));

    private static IEnumerable<(PropertyInfo Property, object Owner)> PropertiesOf(object record)
    {
        foreach (PropertyInfo property in record.GetType().GetProperties())
        {
            if (property.IsDefined(typeof(OptionAttribute)))
            {
                yield return (property, record);
            }
            else if (property.PropertyType.GetProperties().Any(p => p.IsDefined(typeof(OptionAttribute))))
            {
                foreach ((PropertyInfo, object) inner in PropertiesOf(property.GetValue(record)!)) yield return inner;
            }
        }
    }

    private static string NameOf(PropertyInfo property) => $"--{JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name)}";

    private static string Text(object? value) => value switch
    {
        null => "not given",
        IEnumerable list and not string => string.Join(',', list.Cast<object>().Select(Text)),
        _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };

    private sealed record RecordOption(PropertyInfo Property, object Owner, Option Option, Func<ParseResult, object?> Read)
    {
        public string Name => NameOf(Property);

        private OptionAttribute About => Property.GetCustomAttribute<OptionAttribute>()!;

        public static RecordOption Of(PropertyInfo property, object owner)
        {
            Type type = IsList(property) ? typeof(string[]) : property.PropertyType;
            return (RecordOption)typeof(RecordOption).GetMethod(nameof(Make), BindingFlags.NonPublic | BindingFlags.Static)!
                .MakeGenericMethod(type).Invoke(null, [property, owner])!;
        }

        public void Set(ParseResult line, List<string> problems)
        {
            int before = problems.Count;
            object? value = Read(line);
            if (value is string[] words)
            {
                value = Property.PropertyType == typeof(ImmutableArray<long>) ? Numbers<long>(words, problems)
                    : Numbers<double>(words, problems);
            }
            else if (!double.IsInfinity(About.Least) && Convert.ToDouble(value, CultureInfo.InvariantCulture) is double number
                && !(number >= About.Least && number <= About.Most))
            {
                string least = Text(About.Least);
                string expected = double.IsInfinity(About.Most) ? $"at least {least}" : $"{least} to {Text(About.Most)}";
                problems.Add($"{Name} is {Text(value)}; expected {expected}");
            }
            if (problems.Count == before) Property.SetValue(Owner, value);
        }

        private static bool IsList(PropertyInfo property) =>
            property.PropertyType.IsGenericType && property.PropertyType.GetGenericTypeDefinition() == typeof(ImmutableArray<>);

        private static RecordOption Make<T>(PropertyInfo property, object owner)
        {
            OptionAttribute about = property.GetCustomAttribute<OptionAttribute>()!;
            Option<T> option = new(NameOf(property).Replace('_', '-'))
            {
                Description = IsList(property) ? $"{about.Text}; default {Text(property.GetValue(owner))}" : about.Text,
                AllowMultipleArgumentsPerToken = IsList(property),
            };
            if (property.GetValue(owner) is T value) option.DefaultValueFactory = _ => value;
            if (about.Alias is not null) option.Aliases.Add($"--{about.Alias}");
            if (about.Choices is not null) option.AcceptOnlyFromAmong(about.Choices.Split(' '));
            return new RecordOption(property, owner, option, line => line.GetValue(option));
        }

        // With commas or spaces between.
        private ImmutableArray<T> Numbers<T>(string[] words, List<string> problems) where T : INumber<T>
        {
            var numbers = new List<T>();
            foreach (string word in words.SelectMany(w => w.Split(',')))
            {
                if (T.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out T? number)) numbers.Add(number);
                else problems.Add($"{Name}: '{word}' is no number{(typeof(T) == typeof(long) ? "; expected whole numbers" : "")}");
            }
            if (About.Count > 0 && numbers.Count != About.Count)
                problems.Add($"{Name} has {numbers.Count} numbers; expected {About.Count}, as {Text(Property.GetValue(Owner))}");
            return [.. numbers];
        }
    }
}
