using OrtCpr.Data;

namespace Gpt2;

// Tokens with a structure that can be learned, for machines without a corpus: sentences of a small grammar over 4000 words. Each paragraph
// has a topic, which decides what nouns and verbs are likely; a noun's gender decides its article and the ending of its verb; nouns come
// back within a paragraph. Word frequencies fall as 1/rank. A token is a word.
internal static class GeneratedText
{
    private const int Topics = 24, NounsATopic = 80, VerbsATopic = 40, Adjectives = 400, Places = 200;
    private const int Stop = 0, Articles = 1, Prepositions = 8, Nouns = 32, Verbs = Nouns + (Topics * NounsATopic), AdjectiveStart = Verbs
        + (2 * Topics * VerbsATopic), PlaceStart = AdjectiveStart + Adjectives;

    public static void Write(string folder, int training = 400_000, int validation = 20_000)
    {
        Directory.CreateDirectory(folder);
        WritePart(Path.Combine(folder, "train.bin"), training, 1);
        WritePart(Path.Combine(folder, "val.bin"), validation, 2);
    }

    private static void WritePart(string path, int count, long seed)
    {
        var tokens = new List<ushort>(count + 200);
        for (long paragraph = 0; tokens.Count < count; paragraph++) Paragraph(tokens, SplitMix64.For(seed, paragraph));
        string temporary = $"{path}.tmp";
        File.WriteAllBytes(temporary, [.. tokens.Take(count).SelectMany(BitConverter.GetBytes)]);
        File.Move(temporary, path, overwrite: true);
    }

    private static void Paragraph(List<ushort> tokens, SplitMix64 random)
    {
        int topic = random.Below(Topics), subject = -1;
        for (int sentences = 3 + random.Below(5); sentences > 0; sentences--)
        {
            // What was spoken of is often spoken of again.
            subject = subject >= 0 && random.Below(3) > 0 ? subject : Noun(topic, random);
            int thing = Noun(random.Below(5) == 0 ? random.Below(Topics) : topic, random);
            Phrase(tokens, subject, random);
            int verb = (topic * VerbsATopic) + Zipf(VerbsATopic, random);
            tokens.Add((ushort)(Verbs + (2 * verb) + Gender(subject)));
            Phrase(tokens, thing, random);
            if (random.Below(2) == 0)
            {
                // The verb decides the preposition.
                tokens.Add((ushort)(Prepositions + (verb % (Nouns - Prepositions))));
                tokens.Add((ushort)(PlaceStart + Zipf(Places, random)));
            }
            tokens.Add(Stop);
        }
    }

    private static void Phrase(List<ushort> tokens, int noun, SplitMix64 random)
    {
        tokens.Add((ushort)(Articles + (2 * random.Below(3)) + Gender(noun)));
        if (random.Below(3) == 0) tokens.Add((ushort)(AdjectiveStart + Zipf(Adjectives, random)));
        tokens.Add((ushort)(Nouns + noun));
    }

    private static int Gender(int noun) => (noun * 7 / 3) & 1;

    private static int Noun(int topic, SplitMix64 random) => (topic * NounsATopic) + Zipf(NounsATopic, random);

    // Rank r with a weight of about 1/(r + 1).
    private static int Zipf(int count, SplitMix64 random) =>
        Math.Min(count - 1, (int)Math.Exp(random.NextDouble() * Math.Log(count + 1)) - 1);
}
