using System.Globalization;
using OrtCpr.Vision;

namespace OrtCpr.Tool.Train;

// `flip,crop=0.35..1,brightness=0.2,erasing=0.1`: what is random about pictures, as a text.
internal static class AugmentationText
{
    // What each word does with its value; null is a word that stands alone.
    private static readonly Dictionary<string, Func<ImageAugmentation, Interval?, ImageAugmentation>> Table = new(StringComparer.Ordinal)
    {
        ["flip"] = (a, v) => a with { HorizontalFlip = v?.Most ?? 0.5 },
        ["vertical-flip"] = (a, v) => a with { VerticalFlip = v?.Most ?? 0.5 },
        ["crop"] = (a, v) => a with { CropArea = v is null ? new(0.08, 1) : v.Value.Least < v.Value.Most ? v : new(v.Value.Least, 1) },
        ["aspect"] = (a, v) => a with { CropAspect = v ?? a.CropAspect },
        ["brightness"] = (a, v) => a with { Brightness = v?.Most ?? 0.4 },
        ["contrast"] = (a, v) => a with { Contrast = v?.Most ?? 0.4 },
        ["saturation"] = (a, v) => a with { Saturation = v?.Most ?? 0.4 },
        ["hue"] = (a, v) => a with { Hue = v?.Most ?? 0.1 },
        ["rotation"] = (a, v) => a with { Rotation = v?.Most ?? 15 },
        ["erasing"] = (a, v) => a with { Erasing = v?.Most ?? 0.5 },
        ["mixup"] = (a, v) => a with { Mixup = v?.Most ?? 0.2 },
        ["cutmix"] = (a, v) => a with { Cutmix = v?.Most ?? 1 },
    };

    public static string Expected => string.Join(", ", Table.Keys);

    // All that makes no sense is told at once; ranges are the library's to tell.
    public static ImageAugmentation Parse(string text)
    {
        var augmentation = new ImageAugmentation();
        var problems = new List<string>();
        foreach (string part in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            string[] pair = part.Split('=', 2);
            string word = pair[0].Replace('_', '-').ToLowerInvariant();
            if (!Table.TryGetValue(word, out Func<ImageAugmentation, Interval?, ImageAugmentation>? set))
                problems.Add($"'{pair[0]}' is not known");
            else if (pair.Length == 1) augmentation = set(augmentation, null);
            else if (Numbers(pair[1]) is Interval value) augmentation = set(augmentation, value);
            else problems.Add($"'{pair[1]}' of {pair[0]} is no number and no A..B");
        }
        return problems.Count == 0 ? augmentation
            : throw new ToolException($"--augmentation: {string.Join("; ", problems)}; expected {Expected}, each alone or with =NUMBER "
                + "(crop and aspect: =A..B), and commas between.");
    }

    private static Interval? Numbers(string text)
    {
        double[] numbers = [.. text.Split("..").Select(p =>
            double.TryParse(p, NumberStyles.Float, CultureInfo.InvariantCulture, out double n) ? n : double.NaN)];
        return numbers.Any(double.IsNaN) || numbers.Length is not (1 or 2) ? null : new Interval(numbers[0], numbers[^1]);
    }
}
